//! The `headless-dns` program: arguments to an exit code.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// glibc's allocator, of which next to nothing is used here, reserves 64 MiB of address space for each thread (its arenas);
/// with many threads that would be all that a limit of address space allows (`ulimit -v`). One for all is enough.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "no crate offers mallopt")]
fn share_one_arena() {
    // SAFETY: it sets a number before there is another thread, and takes no pointer.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) };
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn share_one_arena() {}

fn main() -> std::process::ExitCode {
    share_one_arena();
    headless_dns::program::cli::main()
}
