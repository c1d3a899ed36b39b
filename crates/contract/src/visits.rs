//! How often a check looks at one and the same value.
//!
//! Subschemas meet at a value through `allOf` and its like, through references, and through parents that meet. A
//! document of a few lines can let them double at every step: the check of one small record then takes longer than
//! the universe has. The library remembers verdicts where a schema refers to itself, but not where it unfolds, and it
//! remembers nothing while it collects errors. So both numbers are found when a contract is compiled.

use std::collections::HashMap;

/// Deeper records are refused when they are parsed; see [`intelgraph_json::Limits`].
pub(crate) const DEEPEST_RECORD: usize = 64;
/// Entries that the counting may need.
const MOST_ENTRIES: usize = 1 << 20;

/// A subschema and where it leads.
#[derive(Default)]
pub(crate) struct Node<'s> {
    /// Subschemas that look at the same value.
    pub(crate) same: Vec<usize>,
    /// Subschemas that look at the member of that name.
    pub(crate) named: Vec<(&'s str, usize)>,
    /// Subschemas that look at other members, at elements, or at decoded content.
    pub(crate) other: Vec<usize>,
}

/// What a check of one record may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Visits {
    /// Subschemas that may look at one value for a verdict, each counted as often as it is reached.
    pub(crate) by_verdict: u64,
    /// Subschemas inside each other that may look at one value.
    pub(crate) nesting: u32,
    /// The same as `by_verdict` while errors are collected, by depth of the record.
    pub(crate) by_errors: [u64; DEEPEST_RECORD + 1],
}

/// Subschemas at one value, with how often each is reached, and how deep they nest.
#[derive(Clone, Default)]
struct Meeting {
    counts: HashMap<usize, u64>,
    nesting: u32,
}

/// For each name of a member, and for any other child: the subschemas that look there, and how often.
type Groups = Vec<Vec<(usize, u64)>>;

/// Counts from the first of `nodes`. `None` where the counting itself would take too much.
pub(crate) fn count(nodes: &[Node<'_>]) -> Option<Visits> {
    let mut meetings = Meetings { nodes, known: vec![None; nodes.len()], entries: 0 };
    for node in 0..nodes.len() {
        meetings.of(node, 0)?;
    }
    let meetings: Vec<Meeting> = meetings.known.into_iter().map(Option::unwrap_or_default).collect();
    let total =
        |meeting: &Meeting| meeting.counts.values().fold(0u64, |sum, count| sum.saturating_add(*count));
    let totals: Vec<u64> = meetings.iter().map(total).collect();
    let mut entries = 0;
    let groups =
        meetings.iter().map(|meeting| groups(nodes, meeting, &mut entries)).collect::<Option<Vec<_>>>()?;

    let mut by_errors = [0; DEEPEST_RECORD + 1];
    let mut worst = totals.clone();
    for visits in &mut by_errors {
        *visits = worst[0];
        worst = (0..nodes.len())
            .map(|node| worst_child(&groups[node], |child| worst[child]).max(totals[node]))
            .collect();
    }
    let mut unfolded = Unfolded { groups: &groups, totals: &totals, known: vec![None; nodes.len()] };
    Some(Visits {
        by_verdict: unfolded.of(0),
        nesting: meetings.iter().map(|meeting| meeting.nesting).max().unwrap_or(0),
        by_errors,
    })
}

fn worst_child(groups: &Groups, mut visits: impl FnMut(usize) -> u64) -> u64 {
    let mut sum = |group: &Vec<(usize, u64)>| {
        group
            .iter()
            .fold(0u64, |sum, (child, count)| sum.saturating_add(visits(*child).saturating_mul(*count)))
    };
    groups.iter().map(&mut sum).max().unwrap_or(0)
}

struct Meetings<'n, 's> {
    nodes: &'n [Node<'s>],
    known: Vec<Option<Meeting>>,
    entries: usize,
}

impl Meetings<'_, '_> {
    /// A cycle on one value ends where it closes, as it does when it is checked.
    fn of(&mut self, node: usize, depth: u32) -> Option<()> {
        if self.known[node].is_some() {
            return Some(());
        }
        // Far beyond the nesting that is allowed, and well within any stack.
        if depth > 512 {
            return None;
        }
        self.known[node] = Some(Meeting::default());
        let mut meeting = Meeting { counts: HashMap::from([(node, 1)]), nesting: 0 };
        for &inner in &self.nodes[node].same {
            self.of(inner, depth + 1)?;
            let inner = self.known[inner].as_ref()?;
            meeting.nesting = meeting.nesting.max(inner.nesting);
            for (schema, count) in &inner.counts {
                let own = meeting.counts.entry(*schema).or_insert(0);
                *own = own.saturating_add(*count);
            }
        }
        meeting.nesting += 1;
        self.entries += meeting.counts.len();
        self.known[node] = Some(meeting);
        (self.entries <= MOST_ENTRIES).then_some(())
    }
}

fn groups(nodes: &[Node<'_>], meeting: &Meeting, entries: &mut usize) -> Option<Groups> {
    let mut named: HashMap<&str, Vec<(usize, u64)>> = HashMap::new();
    let mut other = Vec::new();
    for (&schema, &count) in &meeting.counts {
        let node = &nodes[schema];
        node.named.iter().for_each(|(name, child)| named.entry(name).or_default().push((*child, count)));
        other.extend(node.other.iter().map(|child| (*child, count)));
    }
    let mut groups: Groups = named.into_values().collect();
    groups.iter_mut().for_each(|group| group.extend_from_slice(&other));
    groups.push(other);
    *entries += groups.iter().map(Vec::len).sum::<usize>();
    (*entries <= MOST_ENTRIES).then_some(groups)
}

/// Counts down the whole schema, where a reference back to what is being unfolded is remembered by the library.
struct Unfolded<'g> {
    groups: &'g [Groups],
    totals: &'g [u64],
    known: Vec<Option<u64>>,
}

impl Unfolded<'_> {
    fn of(&mut self, node: usize) -> u64 {
        if let Some(visits) = self.known[node] {
            return visits;
        }
        self.known[node] = Some(0);
        let groups = self.groups;
        let visits = worst_child(&groups[node], |child| self.of(child)).max(self.totals[node]);
        self.known[node] = Some(visits);
        visits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(same: &[usize], named: &[(&'static str, usize)], other: &[usize]) -> Node<'static> {
        Node { same: same.into(), named: named.into(), other: other.into() }
    }

    #[test]
    fn members_of_different_names_do_not_add_up() {
        let tree = [node(&[], &[("left", 0), ("right", 0)], &[])];
        let visits = count(&tree).unwrap();
        assert_eq!((visits.by_verdict, visits.nesting, visits.by_errors[64]), (1, 1, 1));
    }

    #[test]
    fn what_meets_at_a_value_adds_up() {
        // 0: allOf [1, 2], both with a member `a` that is checked by 0.
        let tree = [node(&[1, 2], &[], &[]), node(&[], &[("a", 0)], &[]), node(&[], &[("a", 0)], &[])];
        let visits = count(&tree).unwrap();
        assert_eq!((visits.by_verdict, visits.nesting), (3, 2));
        assert_eq!(visits.by_errors[..4], [3, 6, 12, 24]);
    }

    #[test]
    fn what_unfolds_multiplies() {
        // Ten definitions, each reached twice through the one before.
        let mut chain: Vec<Node<'_>> = (0..10).map(|at| node(&[], &[], &[at + 1, at + 1])).collect();
        chain.push(node(&[], &[], &[]));
        assert_eq!(count(&chain).unwrap().by_verdict, 1024);
    }

    #[test]
    fn a_cycle_on_one_value_ends() {
        let cycle = [node(&[1], &[], &[]), node(&[0], &[], &[])];
        assert_eq!(count(&cycle).unwrap().by_verdict, 2);
    }
}
