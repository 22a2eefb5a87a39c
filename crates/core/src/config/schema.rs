//! The JSON schema of a settings file, for editors and for programs that write such files: made of the settings' own types, their
//! documentation, defaults and bounds. What settings mean together it cannot say; [`Config::resolve`](crate::config::Config::resolve) does.

use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use crate::config::search::{SEARCH, Scale, is_searched};
use crate::config::{DataConfig, Layer, ModelConfig, TrainingConfig};

/// Settings of strandnet's train, cv, tune, inspect and model. Defaults are those of the default architecture; some architectures have
/// others, and so has the demo. Paths are relative to the file. Flags of the command line override the file.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, title = "strandnet settings")]
#[expect(dead_code, reason = "only its schema is made")]
struct SettingsFile {
    /// Where examples come from and how they are split
    data: Option<DataConfig>,
    /// The network
    model: Option<ModelConfig>,
    /// How the network is trained, and on what machine
    training: Option<TrainingConfig>,
    /// Layers of a network with arch = "custom", without the output layer
    layer: Option<Vec<Layer>>,
}

/// What a search may draw a number from.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is made")]
struct Range {
    /// Smallest value
    low: f64,
    /// Largest value
    high: f64,
    /// Scale on which values are equally likely
    #[schemars(default)]
    scale: Scale,
}

/// The schema, as draft 7 of JSON Schema, which editors of TOML read.
pub fn of_settings() -> Value {
    let settings = SchemaSettings::draft07().with(|settings| settings.inline_subschemas = true);
    let mut generator = settings.with_transform(for_toml).into_generator();
    let mut search = generator.subschema_for::<Range>();
    for_toml(&mut search);
    let mut schema = generator.into_root_schema_for::<SettingsFile>().to_value();
    let properties = schema["properties"].as_object_mut().expect("a settings file is a table");
    let searched = search_table(properties, &search.to_value());
    properties.insert(SEARCH.into(), searched);
    schema
}

/// The `[search]` table: a list of values, or a range, for each setting that `tune` may vary.
fn search_table(sections: &Map<String, Value>, range: &Value) -> Value {
    let mut settings = Map::new();
    for section in ["data", "model", "training"] {
        let Some(properties) = sections[section]["properties"].as_object() else { continue };
        for (key, setting) in properties.iter().filter(|(key, setting)| is_searched(key) && setting["type"] != "array")
        {
            let mut value = setting.clone();
            let mut ways = Vec::new();
            if let Some(kind) = number_in(&value) {
                let mut range = range.clone();
                for end in ["low", "high"] {
                    range["properties"][end]["type"] = kind.into();
                }
                ways.push(range);
            }
            let about = value.as_object_mut().and_then(|value| {
                value.remove("default");
                value.remove("description")
            });
            ways.insert(0, json!({"type": "array", "items": value, "minItems": 1, "uniqueItems": true}));
            settings.insert(key.clone(), json!({"description": about, "anyOf": ways}));
        }
    }
    json!({
        "description": "What tune searches: a list of values for a setting, or a range such as { low = 1e-4, high = 1e-2, scale = \"log\" }",
        "type": "object",
        "properties": settings,
        "additionalProperties": false,
        "minProperties": 1,
    })
}

/// The type of the numbers that a setting takes, if it takes any.
fn number_in(setting: &Value) -> Option<&str> {
    match setting["type"].as_str() {
        Some(kind) => Some(kind).filter(|kind| ["integer", "number"].contains(kind)),
        None => setting["anyOf"].as_array()?.iter().find_map(number_in),
    }
}

/// Takes out what TOML does not have: nulls, and the sizes of Rust's integers.
fn for_toml(schema: &mut Schema) {
    transform_subschemas(&mut for_toml, schema);
    schema.remove("format");
    if schema.get("default").is_some_and(Value::is_null) {
        schema.remove("default");
    }
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let [kind] = types.as_slice() {
            let kind = kind.clone();
            schema.insert("type".into(), kind);
        }
    }
    if let Some(Value::Array(ways)) = schema.get_mut("anyOf") {
        ways.retain(|way| way["type"] != "null");
        if let [Value::Object(only)] = ways.as_slice() {
            let only = only.clone();
            schema.remove("anyOf");
            for (key, value) in only {
                // The setting's own description goes before that of its type.
                if schema.get(&key).is_none() {
                    schema.insert(key, value);
                }
            }
        }
    }
}

/// An amount of memory, as [`bytesize::ByteSize`] reads it.
pub(super) fn size(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "anyOf": [
            {"type": "integer", "minimum": 1},
            {"type": "string", "pattern": r"^\s*[0-9]+(\.[0-9]+)?\s*[kKmMgGtTpPeE]?i?[bB]?\s*$"},
        ]
    })
}

/// Adds a second name of a choice, which files of other times may have.
pub(super) fn alias(alias: &'static str, of: &'static str) -> impl Transform {
    move |schema: &mut Schema| {
        if let Some(Value::Array(choices)) = schema.get_mut("oneOf") {
            choices.push(json!({"description": format!("The same as {of}"), "type": "string", "const": alias}));
        }
    }
}
