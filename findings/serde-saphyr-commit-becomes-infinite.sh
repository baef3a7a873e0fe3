#!/usr/bin/env bash
# serde-saphyr 0.0.16 (crates.io) reads a short commit such as 12e3456 into serde_json's Value as the text ".inf".
#
# YAML's number 12e3456 is too large for a float. Read as a float it is infinite, as one expects; JSON has no
# infinity, and the value becomes a text that stands nowhere in the file. A name that was made of a commit
# (or a build number with an e in it) is then another one, without an error. 12e3 is
# the number 12000.0, and 012345678901 the number 12345678901. Into a `String` all of them are read as they
# stand.
#
# Seen: 12e3456 is String(".inf") as a Value and "12e3456" as a String
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mkdir src
cat >Cargo.toml <<'TOML'
[package]
name = "finding"
version = "0.0.0"
edition = "2024"

[dependencies]
serde = "=1.0.228"
serde_json = "=1.0.145"
serde-saphyr = "=0.0.16"
TOML
cat >src/main.rs <<'RUST'
fn main() {
    for text in ["12e3456", "12e3", "012345678901"] {
        let value: serde_json::Value = serde_saphyr::from_str(text).expect("YAML");
        let string: String = serde_saphyr::from_str(text).expect("YAML");
        println!("{text} {value:?} {string:?}");
    }
}
RUST
CARGO_TARGET_DIR=target cargo run --quiet | tee seen
diff seen - <<'SEEN'
12e3456 String(".inf") "12e3456"
12e3 Number(12000.0) "12e3"
012345678901 Number(12345678901) "012345678901"
SEEN
