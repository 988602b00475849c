//! The claims of an access token as JSON.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nightlatch_core::{
    AccessClaims, AsOf, Epoch, Generation, History, Position, SessionId, Timestamp, UserId,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Parties;

/// What tells access tokens from others, as djangorestframework-simplejwt does.
const TOKEN_TYPE: &str = "access";

/// The claims, in the order in which they are written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Claims<'a> {
    iss: Cow<'a, str>,
    aud: Cow<'a, str>,
    sub: Cow<'a, str>,
    sid: Cow<'a, str>,
    /// Where in the record's history it was read, for this service alone.
    fp: Cow<'a, str>,
    iat: i64,
    nbf: i64,
    exp: i64,
    jti: Cow<'a, str>,
    token_type: Cow<'a, str>,
    user_id: Cow<'a, str>,
}

impl<'a> Claims<'a> {
    pub(super) fn of(claims: &AccessClaims, parties: &'a Parties) -> Self {
        let user = claims.user.to_string();
        Self {
            iss: Cow::Borrowed(&parties.issuer),
            aud: Cow::Borrowed(&parties.audience),
            sub: user.clone().into(),
            sid: claims.session.to_string().into(),
            fp: fingerprint(claims).into(),
            iat: claims.issued_at.as_seconds(),
            nbf: claims.issued_at.as_seconds(),
            exp: claims.expires_at.as_seconds(),
            jti: claims.id.to_string().into(),
            token_type: TOKEN_TYPE.into(),
            user_id: user.into(),
        }
    }

    /// What they say, if they are ours and of our form.
    pub(super) fn read(text: &[u8], parties: &Parties) -> Option<AccessClaims> {
        let said: Claims<'_> = serde_json::from_slice(text).ok()?;
        let is_ours = said.iss == parties.issuer.as_str()
            && said.aud == parties.audience.as_str()
            && said.token_type == TOKEN_TYPE
            && said.sub == said.user_id
            && said.nbf == said.iat;
        if !is_ours {
            return None;
        }
        let (history, generation, as_of) = read_fingerprint(&said.fp)?;
        Some(AccessClaims {
            id: Uuid::try_parse(&said.jti).ok()?,
            session: SessionId::from_uuid(Uuid::try_parse(&said.sid).ok()?),
            user: UserId::from_uuid(Uuid::try_parse(&said.sub).ok()?),
            generation,
            history,
            as_of,
            issued_at: Timestamp::from_seconds(said.iat),
            expires_at: Timestamp::from_seconds(said.exp),
        })
    }
}

/// The record's id and four numbers.
const FINGERPRINT_BYTES: usize = 16 + 4 * 8;

fn fingerprint(claims: &AccessClaims) -> String {
    let mut bytes = Vec::with_capacity(FINGERPRINT_BYTES);
    bytes.extend_from_slice(claims.history.record.as_bytes());
    for number in
        [claims.history.epoch.0, claims.generation.0, claims.as_of.position.0, claims.as_of.row_id]
    {
        bytes.extend_from_slice(&number.to_be_bytes());
    }
    URL_SAFE_NO_PAD.encode(bytes)
}

fn read_fingerprint(text: &str) -> Option<(History, Generation, AsOf)> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (record, numbers) = bytes.split_first_chunk::<16>()?;
    let (numbers, rest) = numbers.as_chunks::<8>();
    let [epoch, generation, position, row_id] = *numbers else { return None };
    let history =
        History { record: Uuid::from_bytes(*record), epoch: Epoch(i64::from_be_bytes(epoch)) };
    let as_of = AsOf {
        position: Position(i64::from_be_bytes(position)),
        row_id: i64::from_be_bytes(row_id),
    };
    rest.is_empty().then_some((history, Generation(i64::from_be_bytes(generation)), as_of))
}
