/// What reading a configuration may ask about the machine it is for.
///
/// Reading does no I/O of its own. Each question has an answer for those who do not know, which is
/// what `()` gives: nothing is refused for it, and no file is included.
pub trait Surroundings {
    /// The port of a service that `/etc/services` calls by this name. Well-known names need no
    /// answer.
    fn service_port(&self, name: &str) -> Option<u16> {
        let _ = name;
        None
    }

    /// What is wrong with a regular expression, in words.
    ///
    /// # Errors
    /// The problem, for one that cannot be used.
    fn check_pattern(&self, pattern: &str) -> Result<(), String> {
        let _ = pattern;
        Ok(())
    }

    /// Whether there is a network interface of this name; `None` if that is not known.
    fn has_device(&self, name: &str) -> Option<bool> {
        let _ = name;
        None
    }

    /// The files that `pattern`, in the file `including`, stands for, in the order in which they
    /// are read. None if wildcards match nothing.
    ///
    /// # Errors
    /// Why not, in words.
    fn matching(&self, including: &str, pattern: &str) -> Result<Vec<String>, String> {
        let _ = (including, pattern);
        Err("files are not included here".to_owned())
    }

    /// The text of a file that [`matching`](Self::matching) named.
    ///
    /// # Errors
    /// Why it cannot be read, in words.
    fn read(&self, name: &str) -> Result<Vec<u8>, String> {
        let _ = name;
        Err("files are not included here".to_owned())
    }
}

/// Knows nothing.
impl Surroundings for () {}
