// Starting child processes with care: what Swift cannot do between fork and exec, because only async-signal-safe functions
// may run there.
#ifndef FLORIN_CSPAWN_H
#define FLORIN_CSPAWN_H

#include <stddef.h>
#include <sys/types.h>

/// What a child is to be. All pointers are only read, and only until `csp_fork` returns.
typedef struct {
  const char *path;               // absolute
  char *const *arguments;         // ends with NULL; the first is the name
  char *const *environment;       // ends with NULL; the whole of it
  const char *directory;          // working directory, or NULL: as it is
  int input, output, error;       // descriptors for 0, 1 and 2; -1: /dev/null
  int lifeline;                   // becomes descriptor 3; -1: none
  int new_session;                // 1: setsid; 0: a process group of its own
  int parent_death_signal;        // sent by the kernel when the starting thread's process dies; 0: none
  int drop_privileges;            // 1: become uid, gid and groups
  uid_t uid;
  gid_t gid;
  const gid_t *groups;
  size_t group_count;
} csp_plan;

/// A child that has been forked and waits for `csp_release` before it runs anything.
typedef struct {
  pid_t pid;
  int release_descriptor;
  int failure_descriptor;
} csp_child;

/// What failed in the child before exec.
enum { CSP_STAGE_NONE, CSP_STAGE_DIRECTORY, CSP_STAGE_DESCRIPTORS, CSP_STAGE_PRIVILEGES, CSP_STAGE_EXEC };

/// Forks. Returns 0 or errno. The child waits; if the caller dies, or closes the release descriptor, it exits.
int csp_fork(const csp_plan *plan, csp_child *child);

/// Lets the child go on to exec, and waits until it has. Returns 0, or the child's errno with the stage that failed
/// (the child has then exited and must be reaped). Closes both descriptors.
int csp_release(csp_child *child, int *stage);

/// A descriptor that becomes readable when the process ends (Linux 5.3), close-on-exec. -1 and errno on failure.
int csp_pidfd_open(pid_t pid);

/// Signals the process behind a pidfd: never another one that got the same number. -1 and errno on failure.
int csp_pidfd_signal(int descriptor, int signal);

/// A pipe, both ends close-on-exec. -1 and errno on failure.
int csp_pipe(int ends[2]);

/// The next client of a listening socket, close-on-exec and non-blocking. -1 and errno if there is none.
int csp_accept(int listener);

/// Takes the signals from now on, whichever thread they come to, and gives a descriptor to read their numbers from.
/// Once for each process. -1 and errno on failure.
int csp_signal_descriptor(const int *signals, size_t count);

/// The number of the next pending signal; 0 if there is none.
int csp_next_signal(int descriptor);

#endif
