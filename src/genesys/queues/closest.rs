//! The names most like one that is not there. Bounded: with 20 000 names a rough measure over all
//! of them leaves a few hundred for the good one.

/// Names given to the good measure.
const SHORT_LIST: usize = 256;
/// Least likeness (0 to 1) at which a name is worth mentioning.
const LIKE: f64 = 0.7;
/// Names mentioned.
const MENTIONED: usize = 3;

/// A rough picture of every name.
#[derive(Debug, Default)]
pub(super) struct Closest(Vec<Rough>);

#[derive(Debug, Clone, Copy)]
struct Rough {
    /// One bit per kind of character.
    letters: u64,
    chars: u16,
    index: u32,
}

impl Rough {
    fn of(folded: &str, index: u32) -> Self {
        let letters = folded.chars().fold(0, |bits, c| bits | 1 << (u32::from(c) % 64));
        let chars = u16::try_from(folded.chars().count()).unwrap_or(u16::MAX);
        Self { letters, chars, index }
    }

    fn distance(self, other: Self) -> u32 {
        let letters = (self.letters ^ other.letters).count_ones();
        letters * 2 + u32::from(self.chars.abs_diff(other.chars))
    }
}

impl Closest {
    /// Adds a folded name; `index` is how its queue is found again.
    pub(super) fn add(&mut self, folded: &str, index: u32) {
        self.0.push(Rough::of(folded, index));
    }

    /// At most 3 names like `folded`, best first; `name` gives the name at an index, folded and as
    /// it is shown.
    pub(super) fn to<'a>(
        &self,
        folded: &str,
        name: impl Fn(u32) -> Option<(&'a str, &'a str)>,
    ) -> Vec<String> {
        let wanted = Rough::of(folded, 0);
        let mut rough: Vec<(u32, u32)> =
            self.0.iter().map(|rough| (rough.distance(wanted), rough.index)).collect();
        if rough.len() > SHORT_LIST {
            rough.select_nth_unstable(SHORT_LIST);
            rough.truncate(SHORT_LIST);
        }
        let names = rough.into_iter().filter_map(|(_, index)| name(index));
        let mut scored: Vec<(f64, &str)> = names
            .map(|(known, name)| (strsim::jaro_winkler(folded, known), name))
            .filter(|(likeness, _)| *likeness >= LIKE)
            .collect();
        scored.sort_by(|(a, x), (b, y)| b.total_cmp(a).then_with(|| x.cmp(y)));
        scored.dedup_by_key(|(_, name)| *name);
        scored.into_iter().take(MENTIONED).map(|(_, name)| name.to_owned()).collect()
    }
}
