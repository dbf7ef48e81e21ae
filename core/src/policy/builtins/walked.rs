//! `walk` with one argument: to OPA it has as many results as there are values, to the engine one list of them.

use regorus::Value;

/// The list of all `[path, value]`, the value itself first, then what it holds, in order.
pub(super) fn walked(args: &[Value]) -> Option<Value> {
    let mut found = Vec::new();
    visit(args.first()?, &mut Vec::new(), &mut found);
    Some(Value::from(found))
}

fn visit(value: &Value, path: &mut Vec<Value>, found: &mut Vec<Value>) {
    found.push(Value::from(vec![Value::from(path.clone()), value.clone()]));
    let mut below = |key: Value, value: &Value| {
        path.push(key);
        visit(value, path, found);
        path.pop();
    };
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                below(Value::from(index as u64), item);
            }
        }
        Value::Set(items) => items.iter().for_each(|item| below(item.clone(), item)),
        Value::Object(fields) => fields.iter().for_each(|(key, value)| below(key.clone(), value)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use regorus::Value;

    #[test]
    fn every_value_comes_with_its_path() {
        let value = Value::from_json_str(r#"{"b": [1, {"c": null}], "a": "x"}"#).unwrap();
        let expected = Value::from_json_str(
            r#"[[[], {"a": "x", "b": [1, {"c": null}]}], [["a"], "x"], [["b"], [1, {"c": null}]],
                [["b", 0], 1], [["b", 1], {"c": null}], [["b", 1, "c"], null]]"#,
        )
        .unwrap();
        assert_eq!(super::walked(&[value]), Some(expected));
    }
}
