//! Writes JSON as `serde_json` does, but copies what needs no escaping.
//!
//! The library looks at each character of each text by itself, and at the names of members too. That
//! was more than half of all that a session check costs beside HTTP.

use serde::ser::{Error as _, Impossible, Serialize, SerializeMap, SerializeSeq, SerializeStruct};
use serde_json::Error;

/// The buffer that an answer is written into.
pub(super) struct Writer(Vec<u8>);

/// An object or a list that is being written.
pub(super) struct Open<'w> {
    writer: &'w mut Writer,
    is_empty: bool,
    end: u8,
}

impl Writer {
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn text(&mut self, text: &str) -> Result<(), Error> {
        if !is_plain(text) {
            return self.by_library(text);
        }
        self.quoted(text);
        Ok(())
    }

    fn quoted(&mut self, plain: &str) {
        self.0.push(b'"');
        self.0.extend_from_slice(plain.as_bytes());
        self.0.push(b'"');
    }

    fn raw(&mut self, json: &str) {
        self.0.extend_from_slice(json.as_bytes());
    }

    /// What is rare.
    fn by_library(&mut self, value: &(impl Serialize + ?Sized)) -> Result<(), Error> {
        serde_json::to_writer(&mut self.0, value)
    }

    fn open(&mut self, begin: u8, end: u8) -> Open<'_> {
        self.0.push(begin);
        Open { writer: self, is_empty: true, end }
    }
}

/// Whether a text needs no escaping (RFC 8259, 7). Without an early end, so that the compiler looks
/// at many characters at once.
fn is_plain(text: &str) -> bool {
    let escaped = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
    text.bytes().fold(0_u8, |some, byte| some | u8::from(escaped(byte))) == 0
}

impl Open<'_> {
    fn separate(&mut self) {
        if !self.is_empty {
            self.writer.0.push(b',');
        }
        self.is_empty = false;
    }

    fn close(self) {
        self.writer.0.push(self.end);
    }
}

impl SerializeSeq for Open<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.separate();
        value.serialize(&mut *self.writer)
    }

    fn end(self) -> Result<(), Error> {
        self.close();
        Ok(())
    }
}

impl SerializeStruct for Open<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        debug_assert!(is_plain(name), "the names of members are written in this program");
        self.separate();
        self.writer.quoted(name);
        self.writer.0.push(b':');
        value.serialize(&mut *self.writer)
    }

    fn end(self) -> Result<(), Error> {
        self.close();
        Ok(())
    }
}

/// An object that is joined from several.
impl SerializeMap for Open<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, name: &T) -> Result<(), Error> {
        self.separate();
        let begin = self.writer.0.len();
        name.serialize(&mut *self.writer)?;
        match self.writer.0.get(begin) {
            Some(b'"') => Ok(()),
            Some(_) | None => Err(Error::custom("a member whose name is no text")),
        }
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.writer.0.push(b':');
        value.serialize(&mut *self.writer)
    }

    fn end(self) -> Result<(), Error> {
        self.close();
        Ok(())
    }
}

/// Values of these types are written by the library.
macro_rules! by_library {
    ($($method:ident: $type:ty),+ $(,)?) => {
        $(fn $method(self, value: $type) -> Result<(), Error> {
            self.by_library(&value)
        })+
    };
}

impl<'w> serde::Serializer for &'w mut Writer {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Open<'w>;
    type SerializeTuple = Impossible<(), Error>;
    type SerializeTupleStruct = Impossible<(), Error>;
    type SerializeTupleVariant = Impossible<(), Error>;
    type SerializeMap = Open<'w>;
    type SerializeStruct = Open<'w>;
    type SerializeStructVariant = Impossible<(), Error>;

    by_library! {
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64,
        serialize_f32: f32, serialize_f64: f64, serialize_char: char, serialize_bytes: &[u8],
    }

    fn serialize_bool(self, value: bool) -> Result<(), Error> {
        self.raw(if value { "true" } else { "false" });
        Ok(())
    }

    fn serialize_str(self, value: &str) -> Result<(), Error> {
        self.text(value)
    }

    fn serialize_none(self) -> Result<(), Error> {
        self.raw("null");
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Error> {
        self.serialize_none()
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Error> {
        self.serialize_none()
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), Error> {
        self.text(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), Error> {
        Err(unknown())
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Open<'w>, Error> {
        Ok(self.open(b'[', b']'))
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, Error> {
        Err(unknown())
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleStruct, Error> {
        Err(unknown())
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Error> {
        Err(unknown())
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Open<'w>, Error> {
        Ok(self.open(b'{', b'}'))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Open<'w>, Error> {
        Ok(self.open(b'{', b'}'))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Error> {
        Err(unknown())
    }
}

/// Tuples and enums with contents: no answer has any.
fn unknown() -> Error {
    Error::custom("a kind of value that no answer has")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde::Serialize;

    use super::*;

    #[derive(Serialize)]
    enum Choice {
        One,
    }

    #[derive(Serialize)]
    struct Wrapped(u8);

    #[derive(Serialize)]
    struct Inner<'a> {
        text: &'a str,
        maybe: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        left_out: Option<i64>,
        list: Vec<&'a str>,
        nothing: (),
    }

    #[derive(Serialize)]
    struct Outer<'a> {
        #[serde(flatten)]
        joined: Inner<'a>,
        inner: Inner<'a>,
        map: BTreeMap<&'a str, f64>,
        flag: bool,
        letter: char,
        choice: Choice,
        wrapped: Wrapped,
    }

    fn written(value: &impl Serialize) -> Result<String, Error> {
        let mut writer = Writer::with_capacity(0);
        value.serialize(&mut writer)?;
        Ok(String::from_utf8(writer.into_bytes()).unwrap())
    }

    proptest! {
        #[test]
        fn it_is_what_the_library_writes(
            text in "(?s)[\"\\\\\u{0}-\u{1f} a-zé😀/]{0,40}",
            maybe in proptest::option::of(any::<String>()),
            number in proptest::option::of(any::<i64>()),
            flag in any::<bool>(),
        ) {
            let inner = || Inner {
                text: &text,
                maybe: maybe.as_deref(),
                left_out: number,
                list: vec![&text; usize::from(flag) * 2],
                nothing: (),
            };
            let value = Outer {
                joined: inner(),
                inner: inner(),
                map: BTreeMap::from([(text.as_str(), 0.5)]),
                flag,
                letter: '"',
                choice: Choice::One,
                wrapped: Wrapped(7),
            };
            prop_assert_eq!(written(&value).unwrap(), serde_json::to_string(&value).unwrap());
        }
    }

    #[test]
    fn what_no_answer_has_is_an_error() {
        assert!(written(&(1, 2)).is_err());
        assert!(written(&BTreeMap::from([(1, 2)])).is_err());
    }
}
