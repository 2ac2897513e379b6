//! The relay's pure part: which server a client gets, and for how long.
