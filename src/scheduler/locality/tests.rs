use super::*;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

fn address(number: usize) -> IpAddr {
    IpAddr::from(u32::try_from(number).unwrap().to_be_bytes())
}

/// A cache for four addresses, told the time for the first time.
fn cache(expiration: Duration) -> Cache<usize> {
    let mut cache = Cache { nominal_size: 4, ..Cache::new(expiration) };
    cache.handle_time(Instant::from_nanos(0));
    cache
}

fn known(cache: &Cache<usize>) -> Vec<usize> {
    cache.entries.values().map(|entry| entry.value).collect()
}

#[test]
fn half_again_as_many_addresses_as_it_is_meant_for_are_all_it_takes() {
    let mut cache = cache(EXPIRATION);
    (0..10).for_each(|number| cache.remember(address(number), number));
    assert_eq!(known(&cache), [0, 1, 2, 3, 4, 5]);
}

#[test]
fn what_nobody_asked_for_until_the_expiration_goes_with_every_thirtieth_sweep() {
    let mut cache = cache(HOUR);
    (0..2).for_each(|number| cache.remember(address(number), number));
    let minutes = |count| Instant::ZERO + count * MINUTE;
    (1..=59).for_each(|minute| cache.handle_time(minutes(minute)));
    assert_eq!(known(&cache), [0, 1]);
    cache.recall(address(1));
    (60..=119).for_each(|minute| cache.handle_time(minutes(minute)));
    assert_eq!(known(&cache), [1], "asked for in the 59th minute");
    cache.handle_time(minutes(120));
    assert!(known(&cache).is_empty());
}

#[test]
fn sweeps_that_were_missed_are_made_up_for() {
    let mut cache = cache(HOUR);
    cache.remember(address(1), 1);
    cache.handle_time(Instant::ZERO + 2 * HOUR);
    assert!(known(&cache).is_empty());
}

#[test]
fn of_too_many_those_idle_longest_go_and_only_idle_ones() {
    let mut cache = cache(EXPIRATION);
    (0..6).rev().for_each(|number| {
        cache.remember(address(number), number);
        cache.now += Duration::from_secs(1);
    });
    cache.handle_time(Instant::ZERO + 5 * MINUTE);
    assert_eq!(known(&cache).len(), 6, "none is idle yet");
    cache.recall(address(5));
    cache.handle_time(Instant::ZERO + 7 * MINUTE);
    assert_eq!(known(&cache), [0, 1, 2, 5], "an excess of 2, so 2 go");
    cache.handle_time(Instant::ZERO + HOUR);
    assert_eq!(known(&cache), [0, 1, 2, 5], "there is room again");
}
