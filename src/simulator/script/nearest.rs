//! The known word that an unknown one is most likely a misspelling of.

/// The candidate closest to `word`, if it is close enough to be meant.
pub(super) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let (distance, candidate) = candidates
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .min_by_key(|(distance, _)| *distance)?;
    // A third of the word may be wrong, and one letter always.
    let most = (candidate.chars().count() / 3).max(1);
    (distance <= most).then_some(candidate)
}

/// How many letters have to be put in, left out, exchanged or swapped with their neighbour
/// (optimal string alignment), capitals aside.
fn distance(one: &str, other: &str) -> usize {
    let letters = |word: &str| word.to_lowercase().chars().collect::<Vec<_>>();
    let (one, other) = (letters(one), letters(other));
    // Rows of the table of distances between the beginnings of both words.
    let mut two_above = Vec::new();
    let mut above: Vec<usize> = (0..=other.len()).collect();
    for i in 0..one.len() {
        let mut row = vec![i + 1];
        for j in 0..other.len() {
            let exchanged = above[j] + usize::from(one[i] != other[j]);
            let mut least = exchanged.min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && one[i] == other[j - 1] && one[i - 1] == other[j] {
                let swapped: usize = two_above[j - 1];
                least = least.min(swapped + 1);
            }
            row.push(least);
        }
        two_above = std::mem::replace(&mut above, row);
    }
    above[other.len()]
}
