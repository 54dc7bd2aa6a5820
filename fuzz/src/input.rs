//! Bytes as the structured inputs of targets, in forms that can also be written by hand.

/// What separates the parts of an input.
const SEPARATOR: &[u8] = b"\n---\n";

/// The first line, which steers, and the parts of the rest.
pub(crate) fn steered(data: &[u8]) -> (Steering<'_>, Vec<&[u8]>) {
    let end = data.iter().position(|byte| *byte == b'\n');
    let (line, rest) = match end {
        Some(end) => (&data[..end], &data[end + 1..]),
        None => (&b""[..], data),
    };
    (Steering(line), parts(rest))
}

/// The parts between separators; there is always one at least.
pub(crate) fn parts(data: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    let mut rest = data;
    while let Some(place) = rest
        .windows(SEPARATOR.len())
        .position(|window| window == SEPARATOR)
    {
        parts.push(&rest[..place]);
        rest = &rest[place + SEPARATOR.len()..];
    }
    parts.push(rest);
    parts
}

/// Bytes as text; what is no UTF-8 is replaced.
pub(crate) fn text(data: &[u8]) -> String {
    String::from_utf8_lossy(data).into_owned()
}

/// Bytes that decide, one a decision; when they are used up, the first choice is taken.
pub(crate) struct Steering<'a>(pub(crate) &'a [u8]);

impl Steering<'_> {
    /// The next byte, if there is one.
    pub(crate) fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// One of so many choices. Digits choose as they read, so that seeds can be written by hand.
    pub(crate) fn choice(&mut self, of: usize) -> usize {
        usize::from(self.next().unwrap_or(b'0').wrapping_sub(b'0')) % of
    }

    /// One of these.
    pub(crate) fn pick<'b, T>(&mut self, of: &'b [T]) -> &'b T {
        &of[self.choice(of.len())]
    }

    pub(crate) fn flag(&mut self) -> bool {
        self.choice(2) == 1
    }
}
