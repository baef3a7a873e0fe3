//! The issuer's keys, and whether a token is signed with one of them (RFC 7515, 7517, 7518, 8037).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{
    self, EcdsaVerificationAlgorithm, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde::Deserialize;
use serde_json::Value;

/// What a token may be signed with: a key that only its issuer has. So neither `none` nor `HS256` is here, with which
/// whoever knows the public key could sign.
const ALGORITHMS: [(&str, Algorithm); 10] = [
    ("RS256", Algorithm::Rsa(&signature::RSA_PKCS1_2048_8192_SHA256)),
    ("RS384", Algorithm::Rsa(&signature::RSA_PKCS1_2048_8192_SHA384)),
    ("RS512", Algorithm::Rsa(&signature::RSA_PKCS1_2048_8192_SHA512)),
    ("PS256", Algorithm::Rsa(&signature::RSA_PSS_2048_8192_SHA256)),
    ("PS384", Algorithm::Rsa(&signature::RSA_PSS_2048_8192_SHA384)),
    ("PS512", Algorithm::Rsa(&signature::RSA_PSS_2048_8192_SHA512)),
    ("ES256", Algorithm::Curve("P-256", &signature::ECDSA_P256_SHA256_FIXED)),
    ("ES384", Algorithm::Curve("P-384", &signature::ECDSA_P384_SHA384_FIXED)),
    ("EdDSA", Algorithm::Edwards),
    // Its name since RFC 9864.
    ("Ed25519", Algorithm::Edwards),
];

#[derive(Clone, Copy)]
enum Algorithm {
    Rsa(&'static RsaParameters),
    Curve(&'static str, &'static EcdsaVerificationAlgorithm),
    Edwards,
}

/// Why a token is not known to be the issuer's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSigned {
    #[error("it is no token that is signed")]
    NoToken,
    #[error("it is signed with an algorithm that is not taken here")]
    Algorithm,
    #[error("it has a header that must be understood, and is not")]
    Critical,
    /// The issuer may have a new one.
    #[error("it is signed with a key that the issuer does not have")]
    UnknownKey,
    #[error("its signature is not the issuer's")]
    Signature,
}

/// The issuer's keys.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Keys {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct Key {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<Value>,
}

impl Keys {
    pub(super) fn read(json: &[u8]) -> Option<Self> {
        serde_json::from_slice(json).ok()
    }

    /// The claims of a token that is signed with one of them.
    pub(super) fn claims(&self, token: &str) -> Result<Value, NotSigned> {
        let (signed, signature) = token.rsplit_once('.').ok_or(NotSigned::NoToken)?;
        let (header, claims) = signed.split_once('.').ok_or(NotSigned::NoToken)?;
        let header: Header = json(header).ok_or(NotSigned::NoToken)?;
        let signature = bytes(signature).ok_or(NotSigned::NoToken)?;
        if header.crit.is_some() {
            return Err(NotSigned::Critical);
        }
        let algorithm = ALGORITHMS.iter().find(|(name, _)| *name == header.alg);
        let (_, algorithm) = algorithm.ok_or(NotSigned::Algorithm)?;
        let key = self.key(&header, *algorithm).ok_or(NotSigned::UnknownKey)?;
        is_signed(*algorithm, &key, signed.as_bytes(), &signature).ok_or(NotSigned::Signature)?;
        json(claims).ok_or(NotSigned::NoToken)
    }

    /// The one key that a token of this header can be signed with. A set may have others, of kinds that nobody knows here.
    fn key(&self, header: &Header, algorithm: Algorithm) -> Option<Key> {
        let read = self.keys.iter().filter_map(|key| Key::deserialize(key).ok());
        let mut fitting = read.filter(|key| {
            let named = header.kid.is_none() || key.kid == header.kid;
            let meant = key.alg.as_ref().is_none_or(|alg| *alg == header.alg);
            let signs = key.usage.as_deref().is_none_or(|usage| usage == "sig");
            named && meant && signs && key.is_for(algorithm)
        });
        let found = fitting.next();
        // Which of two it is nobody says.
        if fitting.next().is_some() { None } else { found }
    }
}

impl Key {
    fn is_for(&self, algorithm: Algorithm) -> bool {
        match algorithm {
            Algorithm::Rsa(_) => self.kty == "RSA",
            Algorithm::Curve(curve, _) => self.kty == "EC" && self.crv.as_deref() == Some(curve),
            Algorithm::Edwards => self.kty == "OKP" && self.crv.as_deref() == Some("Ed25519"),
        }
    }
}

/// Something if the signature is this key's.
fn is_signed(algorithm: Algorithm, key: &Key, signed: &[u8], signature: &[u8]) -> Option<()> {
    let part = |part: &Option<String>| bytes(part.as_deref()?);
    let verified = match algorithm {
        Algorithm::Rsa(parameters) => {
            let number = |text| part(text).map(|bytes| without_zeros(&bytes).to_vec());
            let (n, e) = (number(&key.n)?, number(&key.e)?);
            RsaPublicKeyComponents { n, e }.verify(parameters, signed, signature)
        }
        Algorithm::Curve(_, algorithm) => {
            // A point as it is, and not compressed.
            let point = [vec![4], part(&key.x)?, part(&key.y)?].concat();
            UnparsedPublicKey::new(algorithm, point).verify(signed, signature)
        }
        Algorithm::Edwards => {
            UnparsedPublicKey::new(&signature::ED25519, part(&key.x)?).verify(signed, signature)
        }
    };
    verified.ok()
}

/// Some write a number with zeros before it.
fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

fn json<T: serde::de::DeserializeOwned>(part: &str) -> Option<T> {
    serde_json::from_slice(&bytes(part)?).ok()
}

#[cfg(test)]
mod tests;
