#define _GNU_SOURCE
#include "CSpawn.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif

typedef struct {
  int stage;
  int error;
} failure;

// Reports why the child cannot become what it should be, and ends it. The parent reads this or, after exec, end of file.
static void give_up(int descriptor, int stage) {
  failure what = {stage, errno};
  ssize_t ignored = write(descriptor, &what, sizeof what);
  (void)ignored;  // a parent that is gone needs no answer
  _exit(127);
}

static void close_on_exec_from(int first) {
  if (syscall(SYS_close_range, (unsigned)first, ~0U, CLOSE_RANGE_CLOEXEC) == 0) return;
  // Kernels before 5.11: one by one. 65,536 is above any limit on descriptors that Florin's processes run with.
  for (int descriptor = first; descriptor < 65536; descriptor++) fcntl(descriptor, F_SETFD, FD_CLOEXEC);
}

// Copies a descriptor out of the way of 0 to 3, so that filling those cannot overwrite a source.
static int lifted(int descriptor, const char *otherwise, int flags) {
  int source = descriptor >= 0 ? descriptor : open(otherwise, flags | O_CLOEXEC);
  return source < 0 ? -1 : fcntl(source, F_DUPFD_CLOEXEC, 10);
}

// Only async-signal-safe calls below: other threads' locks may be held in this copy of the process.
static void become(const csp_plan *plan, pid_t parent, int release, int failures) {
  struct sigaction standard = {.sa_handler = SIG_DFL};
  for (int number = 1; number < 65; number++) sigaction(number, &standard, NULL);

  if (plan->new_session ? setsid() < 0 : setpgid(0, 0) < 0) give_up(failures, CSP_STAGE_PRIVILEGES);

  char go;
  ssize_t got;
  do { got = read(release, &go, 1); } while (got < 0 && errno == EINTR);
  if (got != 1) _exit(127);

  if (plan->directory && chdir(plan->directory) < 0) give_up(failures, CSP_STAGE_DIRECTORY);

  int input = lifted(plan->input, "/dev/null", O_RDONLY);
  int output = lifted(plan->output, "/dev/null", O_WRONLY);
  int error = lifted(plan->error, "/dev/null", O_WRONLY);
  int lifeline = plan->lifeline >= 0 ? fcntl(plan->lifeline, F_DUPFD_CLOEXEC, 10) : -1;
  if (input < 0 || output < 0 || error < 0 || (plan->lifeline >= 0 && lifeline < 0)) give_up(failures, CSP_STAGE_DESCRIPTORS);
  failures = fcntl(failures, F_DUPFD_CLOEXEC, 10);
  if (dup2(input, 0) < 0 || dup2(output, 1) < 0 || dup2(error, 2) < 0 || (lifeline >= 0 && dup2(lifeline, 3) < 0))
    give_up(failures, CSP_STAGE_DESCRIPTORS);
  close_on_exec_from(lifeline >= 0 ? 4 : 3);

  if (plan->drop_privileges &&
      (setgroups(plan->group_count, plan->groups) < 0 || setresgid(plan->gid, plan->gid, plan->gid) < 0 ||
       setresuid(plan->uid, plan->uid, plan->uid) < 0))
    give_up(failures, CSP_STAGE_PRIVILEGES);

  // After the change of user, which clears it. A parent that died in between is noticed by the second line.
  if (plan->parent_death_signal && prctl(PR_SET_PDEATHSIG, plan->parent_death_signal) < 0) give_up(failures, CSP_STAGE_PRIVILEGES);
  if (plan->parent_death_signal && getppid() != parent) _exit(127);

  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  execve(plan->path, plan->arguments, plan->environment);
  give_up(failures, CSP_STAGE_EXEC);
}

int csp_fork(const csp_plan *plan, csp_child *child) {
  int release[2], failures[2];
  if (pipe2(release, O_CLOEXEC) < 0) return errno;
  if (pipe2(failures, O_CLOEXEC) < 0) {
    int error = errno;
    close(release[0]), close(release[1]);
    return error;
  }
  // No handler of the parent may run in the child before its handlers are reset.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pid_t parent = getpid();
  pid_t pid = fork();
  int error = errno;
  if (pid == 0) {
    close(release[1]), close(failures[0]);
    become(plan, parent, release[0], failures[1]);
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  close(release[0]), close(failures[1]);
  if (pid < 0) {
    close(release[1]), close(failures[0]);
    return error;
  }
  *child = (csp_child){pid, release[1], failures[0]};
  return 0;
}

int csp_release(csp_child *child, int *stage) {
  *stage = CSP_STAGE_NONE;
  char go = 1;
  ssize_t count;
  // SIGPIPE is out of the question only if the child lives; a child that was killed meanwhile shows as end of file below.
  sigset_t pipe_signal, before;
  sigemptyset(&pipe_signal);
  sigaddset(&pipe_signal, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
  do { count = write(child->release_descriptor, &go, 1); } while (count < 0 && errno == EINTR);
  if (count < 0 && errno == EPIPE) {
    struct timespec now = {0, 0};
    sigtimedwait(&pipe_signal, NULL, &now);
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  close(child->release_descriptor);
  failure what = {CSP_STAGE_NONE, 0};
  do { count = read(child->failure_descriptor, &what, sizeof what); } while (count < 0 && errno == EINTR);
  close(child->failure_descriptor);
  if (count != (ssize_t)sizeof what) return 0;
  *stage = what.stage;
  return what.error;
}

int csp_pidfd_open(pid_t pid) { return (int)syscall(SYS_pidfd_open, pid, 0); }

int csp_pidfd_signal(int descriptor, int number) { return (int)syscall(SYS_pidfd_send_signal, descriptor, number, NULL, 0); }

int csp_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC); }

int csp_accept(int listener) { return accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK); }

// signalfd(2) would need the signals blocked in every thread, also in those that others have started.
static volatile int signal_pipe = -1;

static void note_signal(int number) {
  int before = errno;
  unsigned char byte = (unsigned char)number;
  ssize_t ignored = write(signal_pipe, &byte, 1);
  (void)ignored;  // a full pipe holds thousands of signals that nobody has looked at: one more says nothing new
  errno = before;
}

int csp_signal_descriptor(const int *signals, size_t count) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0) return -1;
  signal_pipe = ends[1];
  struct sigaction action = {.sa_handler = note_signal, .sa_flags = SA_RESTART};
  for (size_t index = 0; index < count; index++) {
    if (sigaction(signals[index], &action, NULL) < 0) return -1;
  }
  return ends[0];
}

int csp_next_signal(int descriptor) {
  unsigned char byte;
  return read(descriptor, &byte, 1) == 1 ? byte : 0;
}
