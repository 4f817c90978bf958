//! How much memory the C library's allocator keeps to itself.
//!
//! It gives every thread an arena of its own, up to eight for each core, and what one thread frees another cannot
//! have. Ingest's buffers are filled by some threads and freed by others: a drain of 10 million events peaked at 995 MiB
//! with the default, at 762 MiB with four arenas and at 686 MiB with two; four cost about 4 % of CPU time, two about
//! 10 % (`benches/README.md`).
//!
//! What is freed it keeps for whoever asks next: after an hour with every role at 5,000 events a second, 735 of the
//! 1,605 MiB of a process were nobody's. So they are given back from time to time.

/// About as many as threads that allocate at the same moment on the hot path.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const ARENAS: libc::c_int = 4;

/// Bounds the allocator's arenas, unless the operator's `MALLOC_ARENA_MAX` says otherwise. To be called before there
/// are threads.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(
    unsafe_code,
    reason = "there is no other way to set it from within the process; measured above"
)]
pub fn bound_arenas() {
    if std::env::var_os("MALLOC_ARENA_MAX").is_none() {
        // SAFETY: called from `main` before any thread is started; the parameter and its value are those of mallopt(3).
        let done = unsafe { libc::mallopt(libc::M_ARENA_MAX, ARENAS) };
        debug_assert_eq!(done, 1, "mallopt refuses only values out of range");
    }
}

/// Other C libraries have no such arenas.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn bound_arenas() {}

/// Gives what is free back to the operating system. It may take some milliseconds for each hundred MiB, in which other
/// threads wait to allocate: for a thread that may block, once in minutes.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(
    unsafe_code,
    reason = "there is no other way to have it done; measured above"
)]
pub fn give_back() {
    // SAFETY: malloc_trim(3) may be called at any time from any thread; 0 is how much is to be kept at the heap's top.
    // It says whether there was anything to give back, which changes nothing here.
    let _ = unsafe { libc::malloc_trim(0) };
}

/// Other C libraries decide for themselves.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn give_back() {}
