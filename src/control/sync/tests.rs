use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn version(number: u8) -> Option<Version> {
    (number > 0).then(|| Version(number.to_string()))
}

#[test]
fn every_way_in_which_a_file_can_stand() {
    let stands = |base, here, there| {
        let [base, here, there] = [base, here, there].map(version);
        judge(base.as_ref(), here.as_ref(), there.as_ref())
    };
    let expected = [
        ((0, 0, 0), Standing::Same),
        ((1, 1, 1), Standing::Same),
        ((1, 2, 2), Standing::Same),
        ((1, 0, 0), Standing::Same),
        ((0, 2, 2), Standing::Same),
        ((1, 2, 1), Standing::LocalNewer),
        ((1, 0, 1), Standing::LocalNewer),
        ((1, 1, 2), Standing::PeerNewer),
        ((1, 1, 0), Standing::PeerNewer),
        ((0, 0, 1), Standing::MissingHere),
        ((0, 1, 0), Standing::MissingThere),
        ((0, 1, 2), Standing::Conflict),
        ((1, 2, 3), Standing::Conflict),
        ((1, 0, 2), Standing::Conflict),
        ((1, 2, 0), Standing::Conflict),
    ];
    for ((base, here, there), standing) in expected {
        assert_eq!(stands(base, here, there), standing, "{base} {here} {there}");
    }
}

/// Two nodes with three files, each with what it remembers that both had.
#[derive(Clone, Default)]
struct Node {
    files: BTreeMap<u8, Version>,
    bases: BTreeMap<u8, Version>,
}

#[derive(Clone, Debug)]
enum Step {
    Edit {
        node: usize,
        file: u8,
        content: u8,
    },
    /// A run on `node` that does only so many steps before it is killed, and remembers what it
    /// did or not.
    Run {
        node: usize,
        most: usize,
        remembers: bool,
    },
    /// Both are compared, and `node` remembers what is the same.
    Compare {
        node: usize,
    },
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..2_usize, 0..3_u8, 0..5_u8).prop_map(|(node, file, content)| Step::Edit {
            node,
            file,
            content
        }),
        (0..2_usize, 0..4_usize, any::<bool>()).prop_map(|(node, most, remembers)| Step::Run {
            node,
            most,
            remembers
        }),
        (0..2_usize).prop_map(|node| Step::Compare { node }),
    ]
}

fn standing(nodes: &[Node; 2], node: usize, file: u8) -> Standing {
    let (here, there) = (&nodes[node], &nodes[1 - node]);
    judge(here.bases.get(&file), here.files.get(&file), there.files.get(&file))
}

fn put(files: &mut BTreeMap<u8, Version>, file: u8, version: Option<Version>) {
    match version {
        Some(version) => drop(files.insert(file, version)),
        None => drop(files.remove(&file)),
    }
}

fn compare(nodes: &mut [Node; 2], node: usize) {
    for file in 0..3 {
        if standing(nodes, node, file) == Standing::Same {
            let common = nodes[node].files.get(&file).cloned();
            put(&mut nodes[node].bases, file, common);
        }
    }
}

fn run(nodes: &mut [Node; 2], node: usize, most: usize, remembers: bool) {
    for file in (0..3).take(most) {
        let (from, to) = match decide(standing(nodes, node, file), Direction::Both) {
            Action::Push => (node, 1 - node),
            Action::Pull => (1 - node, node),
            Action::Nothing | Action::Leave => continue,
        };
        let overwritten = nodes[to].files.get(&file).cloned();
        let base = nodes[node].bases.get(&file).cloned();
        assert!(overwritten.is_none() || overwritten == base, "an edit was lost");
        let version = nodes[from].files.get(&file).cloned();
        put(&mut nodes[to].files, file, version);
    }
    if remembers {
        compare(nodes, node);
    }
}

proptest! {
    #[test]
    fn whatever_is_edited_and_killed_no_edit_is_lost_and_a_whole_run_leaves_only_conflicts(
        steps in proptest::collection::vec(any_step(), 0..30), last in 0..2_usize,
    ) {
        let mut nodes = [Node::default(), Node::default()];
        for step in steps {
            match step {
                Step::Edit { node, file, content } => {
                    put(&mut nodes[node].files, file, version(content));
                }
                Step::Run { node, most, remembers } => run(&mut nodes, node, most, remembers),
                Step::Compare { node } => compare(&mut nodes, node),
            }
        }
        run(&mut nodes, last, 3, true);
        for file in 0..3 {
            let left = standing(&nodes, last, file);
            prop_assert!(matches!(left, Standing::Same | Standing::Conflict), "{left:?}");
        }
        let before = (nodes[0].files.clone(), nodes[1].files.clone());
        run(&mut nodes, last, 3, true);
        prop_assert_eq!((nodes[0].files.clone(), nodes[1].files.clone()), before);
    }

    #[test]
    fn neither_direction_ever_changes_the_side_it_comes_from(base in 0..4_u8, here in 0..4_u8, there in 0..4_u8) {
        let [base, here, there] = [base, here, there].map(version);
        let standing = judge(base.as_ref(), here.as_ref(), there.as_ref());
        prop_assert_ne!(decide(standing, Direction::Push), Action::Pull);
        prop_assert_ne!(decide(standing, Direction::Pull), Action::Push);
        // Seen from the other node it is the mirror image.
        let mirrored = judge(base.as_ref(), there.as_ref(), here.as_ref());
        let mirror = match decide(standing, Direction::Both) {
            Action::Push => Action::Pull,
            Action::Pull => Action::Push,
            same => same,
        };
        prop_assert_eq!(decide(mirrored, Direction::Both), mirror);
    }
}
