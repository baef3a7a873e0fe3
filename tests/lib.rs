//! Nothing ships from here: this package holds the tests of the whole, in `it/`.
