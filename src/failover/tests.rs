use super::guard::Guard;
use super::*;

const PAGE: &str = include_str!("../../docs/failover.md");

/// Each cause there is: whoever adds one is led here.
fn causes() -> Vec<Cause> {
    let after = |cause: &Cause| match cause {
        Cause::Alone => Some(Cause::PeerDead),
        Cause::PeerDead => Some(Cause::PeerActive),
        Cause::PeerActive => Some(Cause::PeerWins),
        Cause::PeerWins => Some(Cause::PeerHigher),
        Cause::PeerHigher => Some(Cause::PeerLower),
        Cause::PeerLower => Some(Cause::PeerStandby),
        Cause::PeerStandby => Some(Cause::PeerFailed),
        Cause::PeerFailed => Some(Cause::PeerHandsOver),
        Cause::PeerHandsOver => Some(Cause::PeerStopped),
        Cause::PeerStopped => Some(Cause::PeerUnfit),
        Cause::PeerUnfit => Some(Cause::Guard(Fault::new(Guard::References, ".."))),
        Cause::Guard(_) => Some(Cause::Maintenance),
        Cause::Maintenance => Some(Cause::Busy),
        Cause::Busy => Some(Cause::Cold),
        Cause::Cold => Some(Cause::Forced),
        Cause::Forced => Some(Cause::Requested),
        Cause::Requested => Some(Cause::PeerRefused),
        Cause::PeerRefused => Some(Cause::Mended),
        Cause::Mended => Some(Cause::NotActive),
        Cause::NotActive => Some(Cause::Stopping),
        Cause::Stopping => Some(Cause::DataPlaneFailed),
        Cause::DataPlaneFailed => Some(Cause::DataPlaneUsable),
        Cause::DataPlaneUsable => Some(Cause::Retrying),
        Cause::Retrying => Some(Cause::Acquired),
        Cause::Acquired => Some(Cause::Released),
        Cause::Released => Some(Cause::ActionFailed(ActionError("cannot bring up ..".to_owned()))),
        Cause::ActionFailed(_) => Some(Cause::Suspended),
        Cause::Suspended => None,
    };
    std::iter::successors(Some(Cause::Alone), after).collect()
}

#[test]
fn the_page_about_failover_lists_every_cause() {
    for cause in causes() {
        assert!(PAGE.contains(&format!("`{cause}`")), "{cause}");
    }
}

#[test]
fn the_page_about_failover_lists_every_guard() {
    let nowhere = [0, 0, 0, 0].into();
    let after = |guard: &Guard| match guard {
        Guard::Link(_) => Some(Guard::LinkOf(nowhere)),
        Guard::LinkOf(_) => Some(Guard::File(".".into())),
        Guard::File(_) => Some(Guard::Process(".".to_owned())),
        Guard::Process(_) => Some(Guard::Command(vec![".".to_owned()])),
        Guard::Command(_) => Some(Guard::References),
        Guard::References => None,
    };
    for guard in std::iter::successors(Some(Guard::Link(".".to_owned())), after) {
        let words = guard.to_string().replace("0.0.0.0", ".");
        let words = words.strip_suffix('.').map_or(format!("{words}: "), str::to_owned);
        assert!(PAGE.contains(&format!("`{words}..`")), "{words}");
    }
}
