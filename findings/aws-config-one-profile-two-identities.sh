#!/usr/bin/env bash
# aws-config 1.13.0 (crates.io), the configuration of the AWS SDK for Rust, and botocore 1.44.8 (PyPI), of the
# AWS CLI, act as two identities in one profile that has both keys and a `credential_process`.
#
# A team keeps a profile's long-lived keys in ~/.aws/credentials and adds a `credential_process` of the same
# profile to ~/.aws/config, or the other way round while it moves to one. botocore takes the keys: of its
# providers the one that reads the shared credentials file comes before the one that runs processes. The SDK
# for Rust runs the process: within a profile it looks for keys last. So a tool of either kind beside the AWS
# CLI, with the same `--profile`, may act in another account than the one that `aws sts get-caller-identity`
# shows.
#
# Seen: AKIDOFTHEFILE by botocore, AKIDOFTHEPROCESS by aws-config
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat >credentials <<'INI'
[team]
aws_access_key_id = AKIDOFTHEFILE
aws_secret_access_key = secret
INI
printf '{"Version": 1, "AccessKeyId": "AKIDOFTHEPROCESS", "SecretAccessKey": "secret"}' >answer.json
cat >config <<INI
[profile team]
region = eu-west-1
credential_process = cat $folder/answer.json
INI
unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_PROFILE
export AWS_CONFIG_FILE=$folder/config AWS_SHARED_CREDENTIALS_FILE=$folder/credentials AWS_EC2_METADATA_DISABLED=true

python3 -m venv python
python/bin/pip install --quiet --disable-pip-version-check botocore==1.44.8
python/bin/python - >seen <<'PY'
import botocore.session

print("botocore", botocore.session.Session(profile="team").get_credentials().access_key)
PY

mkdir -p rust/src
cat >rust/Cargo.toml <<'TOML'
[package]
name = "seen"
edition = "2024"

[dependencies]
aws-config = { version = "=1.13.0", default-features = false, features = ["behavior-version-latest", "credentials-process", "rt-tokio"] }
aws-credential-types = "1"
aws-smithy-http-client = { version = "1", default-features = false, features = ["rustls-ring"] }
tokio = { version = "1", features = ["macros", "rt", "process"] }
TOML
cat >rust/src/main.rs <<'RUST'
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::provider::ProvideCredentials;
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    // Nothing is sent; it is asked for all the same.
    let client = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    let config = ProviderConfig::without_region().with_http_client(client);
    let profile = ProfileFileCredentialsProvider::builder().configure(&config).profile_name("team").build();
    println!("aws-config {}", profile.provide_credentials().await.unwrap().access_key_id());
}
RUST
cargo run --quiet --manifest-path rust/Cargo.toml >>seen
cat seen
diff seen - <<'SEEN'
botocore AKIDOFTHEFILE
aws-config AKIDOFTHEPROCESS
SEEN
