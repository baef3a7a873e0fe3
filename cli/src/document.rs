//! Reads a request as YAML or JSON. Both have the same fields; which of them it is, the content says.

use std::io::Read;
use std::path::Path;

use serde_json::Value;

use crate::report::Stopped;

/// Reads the document of a file, or of the standard input for `-`.
pub(crate) fn read(file: &Path) -> Result<Value, Stopped> {
    let mut text = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin().read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|mut file| file.read_to_string(&mut text))
    };
    read.map_err(|error| Stopped::Unusable {
        message: format!("cannot read `{}`: {error}", file.display()),
        hint: "give the path of a request as YAML or JSON, or `-` for the standard input"
            .to_owned(),
    })?;
    parse(&text).map_err(|error| Stopped::Unusable {
        message: format!("`{}` is neither YAML nor JSON: {error}", file.display()),
        hint: "`glidepath schema` shows what a request looks like".to_owned(),
    })
}

fn parse(text: &str) -> Result<Value, serde_saphyr::Error> {
    let options = serde_saphyr::Options {
        // A service may be called `on`; YAML 1.2 knows only true and false.
        strict_booleans: true,
        // A field that is there twice is a mistake, and which of them counts would be a guess.
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::Error,
        with_snippet: false,
        ..serde_saphyr::Options::default()
    };
    // JSON is YAML too.
    serde_saphyr::from_str_with_options(text, options)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn yaml_and_json_are_the_same_document() {
        let yaml = "
apiVersion: glidepath/v1
service: on
strategy:
  canary:
    stages: [ {weight: 5, bake: 5m}, {weight: 12.5, bake: \"5\"} ]   # a comment
health: { minimumRequests: 200 }
notify:
  - team-shop
";
        let json = "{\n\t\"apiVersion\": \"glidepath/v1\",\n\t\"service\": \"on\",
            \"strategy\": { \"canary\": { \"stages\": [
                { \"weight\": 5, \"bake\": \"5m\" }, { \"weight\": 12.5, \"bake\": \"5\" }
            ] } },
            \"health\": { \"minimumRequests\": 200 }, \"notify\": [\"team-shop\"] }";
        let expected = json!({
            "apiVersion": "glidepath/v1",
            "service": "on",
            "strategy": { "canary": { "stages": [
                { "weight": 5, "bake": "5m" },
                { "weight": 12.5, "bake": "5" }
            ] } },
            "health": { "minimumRequests": 200 },
            "notify": ["team-shop"]
        });
        assert_eq!(parse(yaml).unwrap(), expected);
        assert_eq!(parse(json).unwrap(), expected);
    }

    #[test]
    fn a_field_that_is_there_twice_is_refused() {
        for text in ["service: a\nservice: b\n", "{ \"service\": \"a\", \"service\": \"b\" }"] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains("duplicate"), "{error}");
        }
    }
}
