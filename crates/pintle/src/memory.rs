//! What the process asks of its allocator. The one place of unsafe code in the library.

/// Has memory given back that nothing holds; before any thread is started. By itself the allocator of GNU's C
/// library takes the first large block that is let go as a sign that such are to be kept, in each of eight
/// arenas a core: a server that was once sent a few long records then keeps several times what they may take at
/// once. Other allocators are left as they are.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code, reason = "the C library's settings are behind its own interface only")]
pub fn give_back() {
    /// A block of so many bytes or more goes back to the system when it is let go, …
    const LARGE: libc::c_int = 1 << 20;
    /// … and of what is free at an arena's end all but so much.
    const AT_HAND: libc::c_int = 1 << 20;
    /// The fewest arenas; one for each core where there are more.
    const ARENAS: usize = 4;

    let cores = std::thread::available_parallelism().map_or(ARENAS, |cores| cores.get().max(ARENAS));
    let arenas = libc::c_int::try_from(cores).unwrap_or(libc::c_int::MAX);
    // SAFETY: it takes two numbers, holds the allocator's own lock, and has no memory of the caller's.
    // A setting that is refused (0) leaves the allocator as it was.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE);
        libc::mallopt(libc::M_TRIM_THRESHOLD, AT_HAND);
        libc::mallopt(libc::M_ARENA_MAX, arenas);
    }
}

/// Nothing, where the allocator is another.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn give_back() {}
