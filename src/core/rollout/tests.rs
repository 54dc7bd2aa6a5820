//! The table of the verdict in the documents is the one in the code.

mod rules;
