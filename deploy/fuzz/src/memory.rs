//! How much memory an input needs: the allocator of the test programs counts, whatever allocates.
//! The count is the process's, so only one campaign runs at a time.

use peak_alloc::PeakAlloc;

#[global_allocator]
static COUNTED: PeakAlloc = PeakAlloc;

/// The most bytes that were in use at once during the work, above those in use before it.
pub fn needed_by<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = COUNTED.current_usage();
    COUNTED.reset_peak_usage();
    let done = work();
    (done, COUNTED.peak_usage().saturating_sub(before))
}
