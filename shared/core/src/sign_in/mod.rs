//! Signing in on the page: what an issuer says of itself and of whoever has signed in there, when that is believed
//! (OpenID Connect Core 1.0 and Discovery 1.0, RFC 9207), and what a browser keeps of it.

mod attempt;
mod claims;
mod provider;

pub use attempt::{Attempt, NotSignedIn, Returned, Session};
pub use claims::{Expected, SignedIn, UnfitToken, signed_in};
pub use provider::{Proof, Provider, UnfitProvider, is_safe_url, scope};
