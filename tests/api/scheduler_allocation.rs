//! Picking a server, and counting its connections, allocates nothing.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]
#![allow(unsafe_code, reason = "a global allocator cannot be written without it")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::SocketAddr;

use piranha::ipvs::Thresholds;
use piranha::net::Weight;
use piranha::scheduler::{self, Flow, Options, Pool};
use piranha::time::Instant;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator, which counts what each thread asks for.
struct Counting;

// SAFETY: every call is passed to `System` unchanged; the count is a plain cell of the thread,
// needs no allocation itself and has no destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps the contract of `alloc`, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `pointer` came from `alloc` above, and so from `System`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations_of(work: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.with(Cell::get);
    work();
    ALLOCATIONS.with(Cell::get) - before
}

fn busy_pool(name: &str, options: Options) -> Pool {
    let mut pool = Pool::new(scheduler::build(name, options).unwrap());
    for server in 0..100_u8 {
        let address = SocketAddr::from(([10, 0, 0, server], 80));
        let weight = Weight::new(u32::from(server % 7)).unwrap();
        let thresholds = Thresholds::new(u32::from(server % 5) * 4, 0).unwrap();
        pool.add(address, weight, thresholds);
    }
    pool
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations_of(|| drop(Box::new(1))), 1);
}

/// Some hundred clients and a few destinations.
fn flow(client: u8) -> Flow {
    Flow {
        source: SocketAddr::from(([198, 51, 100, client], 1024)),
        destination: SocketAddr::from(([192, 0, 2, client % 4], 80)),
    }
}

fn place(pool: &mut Pool, flow: &Flow) {
    let Some(server) = pool.pick(flow) else {
        return;
    };
    pool.open(server);
    pool.open_inactive(server);
    pool.deactivate(server);
    pool.close_inactive(server);
}

/// lblc and lblcr have to remember a destination, and lblcr a further server for it; the first
/// hundreds of connections see to that.
#[test]
fn a_connection_from_pick_to_close_allocates_nothing() {
    let options = [false, true].map(|flag| Options { fallback: flag, port: flag, seed: 1 });
    for (name, options) in scheduler::names().flat_map(|name| options.map(|o| (name, o))) {
        let mut pool = busy_pool(name, options);
        (0..1000_u32).for_each(|n| place(&mut pool, &flow(n.to_le_bytes()[0])));
        let allocations = allocations_of(|| {
            for n in 0..1000_u32 {
                pool.handle_time(Instant::from_millis(n.into()));
                place(&mut pool, &flow(n.to_le_bytes()[0]));
            }
        });
        assert_eq!(allocations, 0, "{name}");
    }
}

#[test]
fn without_a_cache_the_first_connection_allocates_nothing_either() {
    for name in scheduler::names().filter(|name| !name.starts_with("lblc")) {
        let mut pool = busy_pool(name, Options::default());
        let allocations = allocations_of(|| (0..200).for_each(|n| place(&mut pool, &flow(n))));
        assert_eq!(allocations, 0, "{name}");
    }
}

#[test]
fn an_edited_weight_allocates_nothing_but_where_a_table_is_made_anew() {
    for name in scheduler::names().filter(|&name| name != "mh") {
        let mut pool = busy_pool(name, Options::default());
        let ids: Vec<_> = pool.servers().as_slice().iter().map(|s| s.id()).collect();
        let allocations = allocations_of(|| {
            for id in ids {
                pool.edit(id, Weight::ONE, Thresholds::NONE);
            }
        });
        assert_eq!(allocations, 0, "{name}");
    }
}

#[test]
fn a_pick_in_vain_allocates_nothing() {
    for name in scheduler::names() {
        let options = Options { fallback: true, ..Options::default() };
        let mut pool = busy_pool(name, options);
        let ids: Vec<_> = pool.servers().as_slice().iter().map(|s| s.id()).collect();
        for id in ids {
            pool.edit(id, Weight::ZERO, Thresholds::NONE);
        }
        let allocations = allocations_of(|| assert_eq!(pool.pick(&Flow::default()), None));
        assert_eq!(allocations, 0, "{name}");
    }
}
