//! Picking a server, and counting its connections, allocates nothing.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]
#![allow(unsafe_code, reason = "a global allocator cannot be written without it")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::SocketAddr;

use piranha::ipvs::Thresholds;
use piranha::net::Weight;
use piranha::scheduler::{self, Flow, Pool};

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

fn busy_pool(name: &str) -> Pool {
    let mut pool = Pool::new(scheduler::by_name(name).unwrap());
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

#[test]
fn a_connection_from_pick_to_close_allocates_nothing() {
    for name in scheduler::names() {
        let mut pool = busy_pool(name);
        let allocations = allocations_of(|| {
            for _ in 0..1000 {
                let Some(server) = pool.pick(&Flow::default()) else {
                    continue;
                };
                pool.open(server);
                pool.open_inactive(server);
                pool.deactivate(server);
                pool.close_inactive(server);
            }
        });
        assert_eq!(allocations, 0, "{name}");
    }
}

#[test]
fn a_pick_in_vain_allocates_nothing() {
    for name in scheduler::names() {
        let mut pool = busy_pool(name);
        let ids: Vec<_> = pool.servers().as_slice().iter().map(|s| s.id()).collect();
        for id in ids {
            pool.edit(id, Weight::ZERO, Thresholds::NONE);
        }
        let allocations = allocations_of(|| assert_eq!(pool.pick(&Flow::default()), None));
        assert_eq!(allocations, 0, "{name}");
    }
}
