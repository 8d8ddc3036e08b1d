// System calls of Linux that the C library hides behind _GNU_SOURCE, and Swift therefore does not see.
#pragma once

/// Exchanges two paths atomically: whoever opens one of them sees the old or the new, never neither (renameat2(2) with
/// RENAME_EXCHANGE). 0, or -1 with errno set; ENOENT if one of them is missing.
int florin_exchange_paths(const char *one, const char *other);
