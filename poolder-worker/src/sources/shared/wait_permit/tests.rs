use super::*;

const LARGE: Fleet = Fleet { nodes: 100, hints: true };
const SMALL: Fleet = Fleet { nodes: 8, hints: true };
const BLOCK: WaitChoice = WaitChoice::Block { renew: false };

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn permit() -> (WaitPermit, Instant) {
    (WaitPermit::new(8, "node"), Instant::now())
}

/// Lets a node rest at `now`, and returns its pauses until it has made this many visits.
fn pauses(fleet: Fleet, visits: usize) -> Vec<Duration> {
    let (mut permit, mut now) = permit();
    permit.answered(now, fleet, false);
    let visit = |_| {
        let WaitChoice::Rest(at) = permit.choice(now, fleet) else { panic!("it does not rest") };
        assert_eq!(permit.choice(at, fleet), WaitChoice::Visit);
        let pause = at - now;
        now = at;
        permit.visited(now, fleet, false, false);
        pause
    };
    (0..visits).map(visit).collect()
}

#[test]
fn in_a_small_fleet_every_node_blocks_and_asks_for_nothing() {
    let (mut permit, now) = permit();
    assert_eq!(permit.choice(now, SMALL), BLOCK);
    assert_eq!(permit.end_at(now, SMALL, true, true), None);
    let one_more = Fleet { nodes: 9, ..SMALL };
    assert_eq!(permit.choice(now, one_more), WaitChoice::Ask);
    permit.answered(now, one_more, false);
    assert!(permit.is_resting(one_more));
    assert_eq!(permit.choice(now, SMALL), BLOCK, "a node has left");
    assert!(!permit.is_resting(SMALL));
}

#[test]
fn a_permit_is_renewed_with_the_waits_and_asked_for_anew_when_it_may_have_ended() {
    let (mut permit, now) = permit();
    permit.answered(now, LARGE, true);
    assert_eq!(permit.choice(now, LARGE), BLOCK);
    assert_eq!(permit.choice(now + ms(1_999), LARGE), BLOCK);
    let later = now + ms(6_900);
    assert_eq!(permit.choice(later, LARGE), WaitChoice::Block { renew: true });
    assert_eq!(permit.choice(now + ms(7_000), LARGE), WaitChoice::Ask);
    permit.renewed(later);
    assert_eq!(permit.choice(now + ms(7_000), LARGE), BLOCK);
    permit.lost();
    assert_eq!(permit.choice(later, LARGE), WaitChoice::Ask);
}

#[test]
fn a_permit_outlasts_every_wait() {
    use poolder_core::broker::ClaimConnection;
    let (mut permit, now) = permit();
    permit.answered(now, LARGE, true);
    // The longest time for which a permit is not renewed, and a wait after it.
    let end = now + RENEWAL + ClaimConnection::LONGEST_WAIT;
    assert!(end < now + ClaimConnection::PERMIT);
    assert!(VALIDITY < ClaimConnection::PERMIT);
}

#[test]
fn a_node_without_room_gives_its_permit_up_at_once_when_jobs_are_left_and_else_soon() {
    let (mut permit, now) = permit();
    permit.answered(now, LARGE, true);
    assert_eq!(permit.end_at(now, LARGE, true, true), Some(now));
    assert_eq!(permit.end_at(now, LARGE, true, false), Some(now + GRACE));
    assert_eq!(permit.end_at(now + ms(1), LARGE, true, false), Some(now + GRACE));
    assert_eq!(permit.end_at(now + ms(1), LARGE, false, false), None, "a job has ended");
    let again = now + ms(5);
    assert_eq!(permit.end_at(again, LARGE, true, false), Some(again + GRACE));
    permit.ended(again, 0);
    assert_eq!(permit.end_at(again, LARGE, true, false), None, "it has no permit any more");
    assert_eq!(permit.choice(again, LARGE), WaitChoice::Ask, "there is room again");
}

#[test]
fn a_node_that_fills_up_after_it_was_woken_passes_the_call_on() {
    let (mut permit, now) = permit();
    // It was entered, and then found a job.
    permit.answered(now, LARGE, false);
    assert_eq!(permit.end_at(now, LARGE, true, false), Some(now + GRACE));
    permit.ended(now, 1);
    assert_eq!(permit.end_at(now, LARGE, true, false), None);
    // The message was on its way.
    permit.woken();
    assert_eq!(permit.end_at(now, LARGE, false, false), None, "it has room");
    assert_eq!(permit.end_at(now, LARGE, true, false), Some(now));
    permit.ended(now, 1);
    assert_eq!(permit.end_at(now, LARGE, true, false), None);
    permit.woken();
    permit.answered(now, LARGE, true);
    permit.renewed(now);
    assert_eq!(permit.end_at(now, LARGE, true, false), Some(now + GRACE), "as any permit");
}

#[test]
fn help_is_called_less_and_less_often_while_no_node_rests() {
    let (mut permit, mut now) = permit();
    let mut gaps = vec![];
    for _ in 0..7 {
        let at = permit.end_at(now, LARGE, true, true).unwrap();
        gaps.push((at - now).as_millis());
        now = at;
        permit.ended(now, 0);
    }
    assert_eq!(gaps, [0, 200, 400, 800, 1_600, 2_000, 2_000]);
    permit.ended(now, 3);
    assert_eq!(permit.end_at(now, LARGE, true, true), Some(now + ms(100)));
    assert_eq!(permit.end_at(now, LARGE, true, false), None, "no jobs are left");
}

#[test]
fn the_visits_of_a_node_that_rests_become_rare_and_rarer_in_large_fleets() {
    let last = |nodes, hints| *pauses(Fleet { nodes, hints }, 20).last().unwrap();
    let spread = |seconds: f64| seconds * (0.75 + permit().0.spread / 2.0);
    for (nodes, hints, seconds) in [
        (9, true, 8.0),
        (256, true, 25.6),
        (1_000, true, 100.0),
        (100_000, true, 120.0),
        (usize::MAX, true, 120.0),
        (9, false, 1.0),
        (1_000, false, 5.0),
        (100_000, false, 8.0),
    ] {
        let found = last(nodes, hints).as_secs_f64();
        assert!((found - spread(seconds)).abs() < 0.001, "{nodes} nodes, {hints}: {found} s");
    }
    let unhinted = pauses(Fleet { nodes: 9, hints: false }, 3);
    assert!(unhinted[0] < ms(3) && unhinted[2] > unhinted[1] && unhinted[1] > unhinted[0]);
}

#[test]
fn a_node_that_is_woken_or_finds_a_free_permit_asks_at_once() {
    let (mut permit, now) = permit();
    permit.answered(now, LARGE, false);
    permit.woken();
    assert_eq!(permit.choice(now, LARGE), WaitChoice::Ask);
    permit.answered(now, LARGE, false);
    permit.visited(now, LARGE, false, true);
    assert_eq!(permit.choice(now, LARGE), WaitChoice::Ask);
    permit.answered(now, LARGE, true);
    permit.woken();
    assert_eq!(permit.choice(now, LARGE), BLOCK, "a late message changes nothing");
}

#[test]
fn a_visit_that_brings_jobs_makes_the_next_ones_frequent_again() {
    let (mut permit, mut now) = permit();
    permit.answered(now, LARGE, false);
    for _ in 0..10 {
        now += Duration::from_secs(60);
        permit.visited(now, LARGE, false, false);
    }
    permit.visited(now, LARGE, true, false);
    let WaitChoice::Rest(at) = permit.choice(now, LARGE) else { panic!("it does not rest") };
    assert!(at - now < ms(100));
}

#[test]
fn after_a_death_all_nodes_that_rest_look_within_half_a_second_at_different_times() {
    let mut times = vec![];
    for node in 0..100 {
        let (mut permit, now) = (WaitPermit::new(8, &format!("node {node}")), Instant::now());
        permit.answered(now, LARGE, false);
        for _ in 0..10 {
            permit.visited(now, LARGE, false, false);
        }
        permit.node_died(now, LARGE);
        let WaitChoice::Rest(at) = permit.choice(now, LARGE) else { panic!("it does not rest") };
        assert!(at - now < ms(500));
        times.push(at - now);
    }
    times.sort_unstable();
    assert!(times[0] < ms(20) && times[99] > ms(150), "{times:?}");
}

#[test]
fn while_the_server_does_not_answer_a_node_blocks_without_a_permit() {
    let (mut permit, now) = permit();
    permit.failed(now);
    assert_eq!(permit.choice(now, LARGE), BLOCK);
    assert_eq!(permit.choice(now + FALLBACK, LARGE), WaitChoice::Ask);
    assert!(!permit.is_entered());
}
