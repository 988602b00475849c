//! Names that are probably slips of one another.
//!
//! Only where there is one such name: of two, either may be meant.

use crate::config::value::distance;

/// How many letters a name may differ in, and less than half of them.
const DISTANCE_MAX: usize = 2;

/// Names that are longer are compared with nothing.
const BYTES_MAX: usize = 64;

/// The only one of these that is near.
pub(super) fn only<'a>(name: &str, others: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let mut near = others.into_iter().filter(|other| is_near(name, other));
    let one = near.next()?;
    near.next().is_none().then_some(one)
}

/// The same where names are told apart on purpose by numbers and short words: `app_1` and `app_2`, `app_qa`
/// and `app_ci` are no slips of each other.
pub(super) fn only_slip<'a>(
    name: &str,
    others: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    only(name, others).filter(|other| {
        let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
        let words = |text: &str| text.split(['_', '-', '.']).map(str::to_owned).collect::<Vec<_>>();
        let (mine, theirs) = (words(name), words(other));
        let are_near = || mine.iter().zip(&theirs).all(|(one, it)| one == it || is_near(one, it));
        digits(name) == digits(other) && (mine.len() != theirs.len() || are_near())
    })
}

fn is_near(name: &str, other: &str) -> bool {
    if name == other || name.len().max(other.len()) > BYTES_MAX {
        return false;
    }
    let distance = distance(&name.to_ascii_lowercase(), &other.to_ascii_lowercase());
    distance <= DISTANCE_MAX && distance * 2 < name.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_near_to_one_name_and_tells_nothing_apart() {
        for (name, others, found) in [
            ("shpo", &["shop", "postgres"][..], Some("shop")),
            ("Shop", &["shop"], Some("shop")),
            ("nightlach", &["nightlatch"], Some("nightlatch")),
            ("nightlatch_dev", &["nightlatchdev"], Some("nightlatchdev")),
            ("shop", &["shop"], None),
            ("nightlach", &["nightlatch", "nightlachs"], None),
            ("app_1", &["app_2"], None),
            ("app1", &["app"], None),
            ("app_qa", &["app_ci"], None),
            ("db", &["dd"], None),
            ("", &["a"], None),
        ] {
            assert_eq!(only_slip(name, others.iter().copied()), found, "{name}");
        }
        assert_eq!(only("redis-1", ["redis-2"]), Some("redis-2"));
    }
}
