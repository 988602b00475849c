//! Throttling: what is limited, for whom it counts, and the port to what counts.
//!
//! A try is reserved before it is evaluated and given back on success, so that a burst of
//! concurrent tries cannot slip through between count and result.

mod counter_keys;
mod windows;

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::store::BoxFuture;
use crate::{Deadline, FailedTry, Timestamp, UserId};

pub use counter_keys::{CounterKeys, ENTRY_TAG_BYTES};
pub use windows::{Allowance, Decision, SlidingWindows};

/// At most `count` in any `span`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// How many.
    pub count: u32,
    /// In which time.
    pub span: Duration,
}

/// Why a limit could not be read.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("a limit reads N/s, N/m or N/h with N from 1 to {}", Limit::COUNT_MAX)]
pub struct LimitError;

impl Limit {
    /// The highest count: each takes memory.
    pub const COUNT_MAX: u32 = 10_000;

    /// How many of them one of `nodes` may let through by itself: all together at most
    /// `count + nodes - 1`, whatever they know of each other.
    #[must_use]
    pub const fn share(self, nodes: u32) -> u32 {
        if nodes == 0 { self.count } else { self.count.div_ceil(nodes) }
    }
}

impl FromStr for Limit {
    type Err = LimitError;

    fn from_str(text: &str) -> Result<Self, LimitError> {
        let (count, unit) = text.trim().split_once('/').ok_or(LimitError)?;
        let count: u32 = count.trim().parse().map_err(|_| LimitError)?;
        let seconds = match unit.trim() {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            _ => return Err(LimitError),
        };
        if !(1..=Self::COUNT_MAX).contains(&count) {
            return Err(LimitError);
        }
        Ok(Self { count, span: Duration::from_secs(seconds) })
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.span.as_secs() {
            1 => "s",
            60 => "m",
            _ => "h",
        };
        write!(f, "{}/{unit}", self.count)
    }
}

/// The part of an address that one attacker is taken to hold: IPv4 /32, IPv6 /64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AddressPrefix([u8; 8]);

impl AddressPrefix {
    /// The prefix of an address; IPv4 inside IPv6 counts as IPv4.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        let mut prefix = [0; 8];
        match address.to_canonical() {
            // 0100::/64 is the discard prefix (RFC 6666): no client has it, so no v6 prefix
            // collides with an IPv4 address.
            IpAddr::V4(v4) => {
                prefix[0] = 1;
                prefix[4..].copy_from_slice(&v4.octets());
            }
            IpAddr::V6(v6) => prefix.copy_from_slice(&v6.octets()[..8]),
        }
        Self(prefix)
    }

    /// For storing.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }
}

/// What a counter counts. The numbers are stored and never used again for something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ThrottleScope {
    /// Failed logins of an account from an address prefix.
    Login = 1,
    /// Failed logins from an address prefix.
    Address = 2,
    /// Failed logins of an account from unknown devices, over all addresses.
    Account = 3,
    /// Registrations from an address prefix.
    Register = 4,
    /// Failed logins of an account from a browser that it has logged in from.
    Device = 5,
}

impl ThrottleScope {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 5] =
        [Self::Login, Self::Address, Self::Account, Self::Register, Self::Device];

    /// Its place among them.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize - 1
    }

    /// Its name in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Address => "address",
            Self::Account => "account",
            Self::Register => "register",
            Self::Device => "device",
        }
    }

    /// From the stored number.
    #[must_use]
    pub const fn from_code(code: i16) -> Option<Self> {
        match code {
            1 => Some(Self::Login),
            2 => Some(Self::Address),
            3 => Some(Self::Account),
            4 => Some(Self::Register),
            5 => Some(Self::Device),
            _ => None,
        }
    }
}

/// One counter. Holds a digest: neither memory nor record keep a list of who tried what from where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ThrottleKey {
    /// What it counts.
    pub scope: ThrottleScope,
    /// Whom it counts.
    pub digest: [u8; 16],
}

impl ThrottleKey {
    /// From a stored row.
    #[must_use]
    pub const fn new(scope: ThrottleScope, digest: [u8; 16]) -> Self {
        Self { scope, digest }
    }

    pub(crate) fn login(account: &Account, prefix: AddressPrefix) -> Self {
        Self::of(ThrottleScope::Login, &[&account.0, prefix.as_bytes()])
    }

    pub(crate) fn address(prefix: AddressPrefix) -> Self {
        Self::of(ThrottleScope::Address, &[prefix.as_bytes()])
    }

    pub(crate) fn account(account: &Account) -> Self {
        Self::of(ThrottleScope::Account, &[&account.0])
    }

    pub(crate) fn register(prefix: AddressPrefix) -> Self {
        Self::of(ThrottleScope::Register, &[prefix.as_bytes()])
    }

    pub(crate) fn device(account: &Account, device: &[u8]) -> Self {
        Self::of(ThrottleScope::Device, &[&account.0, device])
    }

    fn of(scope: ThrottleScope, parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let full = hash.finalize();
        let mut digest = [0; 16];
        digest.copy_from_slice(&full[..16]);
        Self { scope, digest }
    }
}

/// Whom a login counts for: the user if there is one, else the folded name that nobody has.
pub(crate) struct Account(Vec<u8>);

impl Account {
    pub(crate) fn user(id: UserId) -> Self {
        Self([b"u".as_slice(), id.as_uuid().as_bytes()].concat())
    }

    pub(crate) fn nobody(folded: &str) -> Self {
        Self([b"n".as_slice(), folded.as_bytes()].concat())
    }
}

/// A failure, as the record keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Which counter.
    pub key: ThrottleKey,
    /// When, in record time.
    pub at: Timestamp,
}

/// Why a try was not let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Too many have failed.
    Throttled {
        /// What it counts for.
        scope: ThrottleScope,
        /// The limit that is used up.
        limit: Limit,
        /// When there is room again.
        retry_after: Duration,
    },
    /// Those before it would not be done within the deadline.
    Busy,
}

/// A reserved try. Dropping it counts as failed: who hangs up before the answer has still tried.
pub trait Ticket: Send {
    /// It succeeded, or was never evaluated.
    fn give_back(self: Box<Self>);

    /// It failed. The future ends when that is written down, or could not be.
    fn fail(self: Box<Self>) -> BoxFuture<'static, ()>;
}

/// Counts tries. Every node counts what passes through it, whatever else is reachable.
pub trait Throttle: Send + Sync {
    /// Reserves a try under all of `wants`, waiting for those before it while the deadline lasts. If it
    /// fails, `tried` is written to the audit log.
    fn reserve(
        &self,
        wants: Vec<(ThrottleKey, Limit)>,
        tried: Option<FailedTry>,
        deadline: Deadline,
    ) -> BoxFuture<'_, Result<Box<dyn Ticket>, Refused>>;

    /// From now on so many nodes share each limit.
    fn share_among(&self, nodes: u32);
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Limit = Limit { count: 3, span: Duration::from_mins(1) };

    #[test]
    fn shares_add_up_to_the_limit_and_less_than_one_more_a_node() {
        for (count, nodes, share) in
            [(5, 0, 5), (5, 1, 5), (5, 2, 3), (5, 5, 1), (5, 9, 1), (30, 4, 8), (1, 3, 1)]
        {
            let limit = Limit { count, ..LIMIT };
            assert_eq!(limit.share(nodes), share, "{count} among {nodes}");
            assert!(share * nodes < count + nodes.max(1));
        }
    }

    #[test]
    fn limits_are_read_and_written() {
        let limit: Limit = " 30/h ".parse().expect("a limit");
        assert_eq!((limit.count, limit.span.as_secs()), (30, 3600));
        assert_eq!(limit.to_string(), "30/h");
        for bad in ["", "5", "0/m", "5/d", "-1/m", "10001/s", "5/m/s"] {
            assert_eq!(bad.parse::<Limit>(), Err(LimitError), "{bad}");
        }
    }

    #[test]
    fn ipv4_inside_ipv6_is_the_same_prefix() {
        let plain: IpAddr = "192.0.2.1".parse().expect("an address");
        let mapped: IpAddr = "::ffff:192.0.2.1".parse().expect("an address");
        assert_eq!(AddressPrefix::of(plain), AddressPrefix::of(mapped));
        let one: IpAddr = "2001:db8::1".parse().expect("an address");
        let same: IpAddr = "2001:db8::ffff:1".parse().expect("an address");
        let next: IpAddr = "2001:db8:0:1::1".parse().expect("an address");
        assert_eq!(AddressPrefix::of(one), AddressPrefix::of(same));
        assert_ne!(AddressPrefix::of(one), AddressPrefix::of(next));
    }
}
