//! Changes of payloads as JSON merge patches.

use serde_json::Value;

/// Merges a patch into a value, as RFC 7386 says: `null` removes a field, an object is merged into
/// the object in its place, and any other value replaces what is there.
///
/// ```
/// use poolder_core::view::merge_patch;
/// use serde_json::json;
///
/// let mut payload = json!({ "user": 7, "template": "v2", "coupon": "x" });
/// merge_patch(&mut payload, &json!({ "template": "v3", "coupon": null }));
/// assert_eq!(payload, json!({ "user": 7, "template": "v3" }));
/// ```
pub fn merge_patch(value: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        value.clone_from(patch);
        return;
    };
    if !value.is_object() {
        *value = Value::Object(serde_json::Map::new());
    }
    let Some(fields) = value.as_object_mut() else { return };
    for (name, patch) in patch {
        match patch {
            Value::Null => drop(fields.remove(name)),
            patch => merge_patch(fields.entry(name).or_insert(Value::Null), patch),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_patch_is_merged_as_rfc_7386_says() {
        for (before, patch, after) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": [1]}), json!({"a": 1}), json!({"a": 1})),
            (
                json!({"a": {"b": "c"}}),
                json!({"a": {"b": "d", "c": null}}),
                json!({"a": {"b": "d"}}),
            ),
            (json!([1]), json!({"a": "b", "c": null}), json!({"a": "b"})),
            (json!({"a": "foo"}), json!("bar"), json!("bar")),
            (json!({}), json!({"a": {"b": {"c": null}}}), json!({"a": {"b": {}}})),
        ] {
            let mut value = before.clone();
            merge_patch(&mut value, &patch);
            assert_eq!(value, after, "{before} with {patch}");
        }
    }
}
