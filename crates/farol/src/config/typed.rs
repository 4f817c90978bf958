//! Gives a [`Node`] the types of the configuration. Every error carries the place of the value.

use serde::de::value::StringDeserializer;
use serde::de::{DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor};

use super::error::ConfigError;
use super::tree::{Key, Node, Value};

/// Reads a type from a node.
pub(crate) fn read<T: serde::de::DeserializeOwned>(node: Node) -> Result<T, ConfigError> {
    T::deserialize(Reader(node))
}

struct Reader(Node);

impl Reader {
    /// The scalar's text, or an error that says what was expected instead.
    fn text(self, expected: &str) -> Result<(String, Reader), ConfigError> {
        let found = match &self.0.value {
            Value::Scalar(scalar) => return Ok((scalar.text.clone(), self)),
            Value::Null => "nothing",
            Value::List(_) => "a list",
            Value::Map(_) => "a section with keys of its own",
        };
        Err(ConfigError::new(
            format!("expected {expected}, found {found}"),
            Some(self.0.origin),
        ))
    }

    fn parse<T: std::str::FromStr>(self, expected: &str) -> Result<(T, Reader), ConfigError> {
        let (text, reader) = self.text(expected)?;
        // YAML lets long numbers be grouped with underscores.
        match text.replace('_', "").parse() {
            Ok(value) => Ok((value, reader)),
            Err(_) => Err(reader.mismatch(expected)),
        }
    }

    /// An error for a scalar that is not of the type; it does not repeat what may be a secret.
    fn mismatch(self, expected: &str) -> ConfigError {
        let found = match &self.0.value {
            Value::Scalar(scalar) if !scalar.interpolated => format!("`{}`", scalar.text),
            _ => "the value put in for a reference".to_owned(),
        };
        ConfigError::new(
            format!("expected {expected}, found {found}"),
            Some(self.0.origin),
        )
    }
}

macro_rules! whole_numbers {
    ($($method:ident $visit:ident $type:ty),*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ConfigError> {
            let (number, reader) = self.parse::<$type>(concat!("a whole number (", stringify!($type), ")"))?;
            visitor.$visit(number).map_err(|error: ConfigError| error.at(&reader.0.origin))
        }
    )*};
}

impl<'de> Deserializer<'de> for Reader {
    type Error = ConfigError;

    whole_numbers!(
        deserialize_i8 visit_i8 i8, deserialize_i16 visit_i16 i16, deserialize_i32 visit_i32 i32,
        deserialize_i64 visit_i64 i64, deserialize_u8 visit_u8 u8, deserialize_u16 visit_u16 u16,
        deserialize_u32 visit_u32 u32, deserialize_u64 visit_u64 u64
    );

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ConfigError> {
        match self.0.value {
            Value::Null => visitor.visit_unit(),
            Value::Scalar(_) => self.deserialize_string(visitor),
            Value::List(_) => self.deserialize_seq(visitor),
            Value::Map(_) => self.deserialize_map(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ConfigError> {
        let (value, _) = self.parse::<bool>("true or false")?;
        visitor.visit_bool(value)
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ConfigError> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ConfigError> {
        let (number, _) = self.parse::<f64>("a number")?;
        visitor.visit_f64(number)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ConfigError> {
        self.deserialize_string(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ConfigError> {
        self.deserialize_string(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ConfigError> {
        let (text, reader) = self.text("text")?;
        visitor
            .visit_string(text)
            .map_err(|error: ConfigError| error.at(&reader.0.origin))
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ConfigError> {
        self.deserialize_string(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ConfigError> {
        self.deserialize_string(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ConfigError> {
        self.deserialize_string(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ConfigError> {
        match self.0.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ConfigError> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ConfigError> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ConfigError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ConfigError> {
        match self.0.value {
            Value::List(items) => visitor
                .visit_seq(Items(items.into_iter()))
                .map_err(|error| error.at(&self.0.origin)),
            Value::Null => visitor.visit_seq(Items(Vec::new().into_iter())),
            _ => Err(self
                .text("a list")
                .map_or_else(|error| error, |(_, reader)| reader.mismatch("a list"))),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        _length: usize,
        visitor: V,
    ) -> Result<V::Value, ConfigError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _length: usize,
        visitor: V,
    ) -> Result<V::Value, ConfigError> {
        self.deserialize_seq(visitor)
    }

    // A section with nothing in it is a section of defaults.
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ConfigError> {
        const EXPECTED: &str = "a section with keys of its own";
        let entries = match self.0.value {
            Value::Map(entries) => entries,
            Value::Null => Vec::new(),
            _ => {
                let wrong = self.text(EXPECTED);
                return Err(
                    wrong.map_or_else(|error| error, |(_, reader)| reader.mismatch(EXPECTED))
                );
            }
        };
        visitor
            .visit_map(Entries {
                rest: entries.into_iter(),
                value: None,
            })
            .map_err(|error| error.at(&self.0.origin))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ConfigError> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ConfigError> {
        let (text, reader) = self.text("a word")?;
        let word: StringDeserializer<ConfigError> = text.into_deserializer();
        visitor
            .visit_enum(word)
            .map_err(|error| error.at(&reader.0.origin))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ConfigError> {
        visitor.visit_unit()
    }
}

struct Items(std::vec::IntoIter<Node>);

impl<'de> SeqAccess<'de> for Items {
    type Error = ConfigError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, ConfigError> {
        let Some(node) = self.0.next() else {
            return Ok(None);
        };
        let origin = node.origin.clone();
        seed.deserialize(Reader(node))
            .map(Some)
            .map_err(|error| error.at(&origin))
    }
}

struct Entries {
    rest: std::vec::IntoIter<(Key, Node)>,
    value: Option<Node>,
}

impl<'de> MapAccess<'de> for Entries {
    type Error = ConfigError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, ConfigError> {
        let Some((key, node)) = self.rest.next() else {
            return Ok(None);
        };
        self.value = Some(node);
        let name: StringDeserializer<ConfigError> = key.name.into_deserializer();
        seed.deserialize(name)
            .map(Some)
            .map_err(|error| error.at(&key.origin))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<S::Value, ConfigError> {
        let node = self.value.take().unwrap_or_else(Node::empty);
        let origin = node.origin.clone();
        seed.deserialize(Reader(node))
            .map_err(|error| error.at(&origin))
    }
}
