//! The issuer at which people sign in on the page: what it says of itself, its keys, and what it makes of a code. What a
//! browser keeps meanwhile is sealed here with the page's key, so that nothing is written down anywhere.

mod issuer;
mod keys;
mod seals;

pub use issuer::{Begun, Issuer, SignInError, SignInSettings};
pub use seals::Seals;
