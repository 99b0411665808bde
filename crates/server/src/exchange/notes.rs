/// What the application has said about its request besides the answer, for whoever writes the request's line.
///
/// A request has none until the application says something, and loses them when its line is written.
#[derive(Debug, Default)]
pub struct Notes {
    logvars: Pairs,
    vars: Pairs,
    /// Whether the request is to be logged even where the options say otherwise (`log_this_request`).
    pub log_anyway: bool,
}

impl Notes {
    /// The value of a log variable (`set_logvar`), as `log-format` shows it for `%(name)`.
    pub fn logvar(&self, name: &[u8]) -> Option<&[u8]> {
        self.logvars.get(name)
    }

    /// All log variables in the order in which they were first set.
    pub fn logvars(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.logvars.iter()
    }

    /// Sets a log variable, anew or over its old value.
    pub fn set_logvar(&mut self, name: &[u8], value: &[u8]) {
        self.logvars.set(name, value);
    }

    /// The value of a request variable that the application has added (`add_var`).
    pub fn var(&self, name: &[u8]) -> Option<&[u8]> {
        self.vars.get(name)
    }

    /// Adds a request variable; those that came with the request stay as they are.
    pub fn add_var(&mut self, name: &[u8], value: &[u8]) {
        self.vars.set(name, value);
    }
}

/// A handful of names and values: looking through them beats hashing.
#[derive(Debug, Default)]
struct Pairs(Vec<(Bytes, Bytes)>);

type Bytes = Box<[u8]>;

impl Pairs {
    fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    fn get(&self, name: &[u8]) -> Option<&[u8]> {
        self.iter()
            .find_map(|(known, value)| (known == name).then_some(value))
    }

    fn set(&mut self, name: &[u8], value: &[u8]) {
        match self.0.iter_mut().find(|(known, _)| **known == *name) {
            Some((_, old)) => *old = value.into(),
            None => self.0.push((name.into(), value.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_value_counts_and_keeps_its_place() {
        let mut notes = Notes::default();
        notes.set_logvar(b"user", b"anna");
        notes.set_logvar(b"tenant", b"7");
        notes.set_logvar(b"user", b"ben");
        let all: Vec<_> = notes.logvars().collect();
        assert_eq!(all, [(&b"user"[..], &b"ben"[..]), (b"tenant", b"7")]);
        assert_eq!(notes.logvar(b"tenant"), Some(&b"7"[..]));
        assert_eq!(notes.logvar(b"nobody"), None);
        assert_eq!(notes.var(b"user"), None);
    }
}
