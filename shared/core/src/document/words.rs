//! Similar words, lists of words, and words short enough for a message.

/// The most similar of the known words, if any is similar enough to have been meant.
pub fn nearest<'n>(word: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    known
        .map(|candidate| {
            (strsim::jaro_winkler(&word.to_lowercase(), &candidate.to_lowercase()), candidate)
        })
        .filter(|(similarity, _)| *similarity >= 0.75)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, candidate)| candidate)
}

/// The most similar word, or all of them.
pub(super) fn nearest_or_all<'n>(
    word: &str,
    known: impl Iterator<Item = &'n str> + Clone,
) -> String {
    nearest(word, known.clone()).map_or_else(|| one_of(known), |nearest| format!("`{nearest}`"))
}

/// `` `a`, `b` or `c` ``.
pub(super) fn one_of<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let mut names: Vec<_> = names.map(|name| format!("`{name}`")).collect();
    match names.pop() {
        Some(last) if names.is_empty() => last,
        Some(last) => format!("{} or {last}", names.join(", ")),
        None => "none".to_owned(),
    }
}

/// A text short enough for a message.
pub(crate) fn shortened(text: &str) -> String {
    const LONGEST: usize = 80;
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    text.chars().take(LONGEST).chain(['…']).collect()
}
