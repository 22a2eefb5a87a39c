//! Serialises numbers that need not be finite: as JSON has no such numbers, they become text.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Number(f64),
    Text(String),
}

pub fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    if value.is_finite() { value.serialize(serializer) } else { value.to_string().serialize(serializer) }
}

pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    match Written::deserialize(deserializer)? {
        Written::Number(value) => Ok(value),
        Written::Text(text) => text.parse().map_err(D::Error::custom),
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    #[derive(Serialize, Deserialize)]
    struct Row {
        #[serde(with = "super")]
        value: f64,
    }

    #[test]
    fn every_number_comes_back() {
        for value in [0.1, -0.0, 1e300, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let text = serde_json::to_string(&Row { value }).unwrap();
            let read: Row = serde_json::from_str(&text).unwrap();
            assert_eq!(read.value.to_bits(), value.to_bits(), "{text}");
        }
        assert!(serde_json::from_str::<Row>(r#"{"value": "many"}"#).is_err());
    }
}
