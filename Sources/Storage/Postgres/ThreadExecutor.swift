internal import Glibc

/// Runs an actor's jobs on one thread of its own, in order, so that the actor may make blocking calls.
///
/// `@unchecked Sendable`: `jobs` and `stopping` are only touched with `mutex` held.
package final class ThreadExecutor: SerialExecutor, @unchecked Sendable {
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let filled = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  private var jobs: [UnownedJob] = []
  private var stopping = false

  package init() {
    pthread_mutex_init(mutex, nil)
    pthread_cond_init(filled, nil)
    var thread = pthread_t()
    // The thread owns the executor until it ends.
    let retained = Unmanaged.passRetained(self).toOpaque()
    let failure = pthread_create(
      &thread, nil,
      { argument in
        guard let argument else { return nil }
        Unmanaged<ThreadExecutor>.fromOpaque(argument).takeRetainedValue().loop()
        return nil
      }, retained)
    // Without a thread nothing this actor is asked for would ever be answered; the process is out of resources.
    precondition(failure == 0, "cannot start a thread: errno \(failure)")
    pthread_detach(thread)
  }

  deinit {
    pthread_cond_destroy(filled)
    pthread_mutex_destroy(mutex)
    filled.deallocate()
    mutex.deallocate()
  }

  package func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    pthread_mutex_lock(mutex)
    jobs.append(job)
    pthread_cond_signal(filled)
    pthread_mutex_unlock(mutex)
  }

  /// Ends the thread once the queue is empty.
  package func stop() {
    pthread_mutex_lock(mutex)
    stopping = true
    pthread_cond_signal(filled)
    pthread_mutex_unlock(mutex)
  }

  private func loop() {
    while true {
      pthread_mutex_lock(mutex)
      while jobs.isEmpty && !stopping { pthread_cond_wait(filled, mutex) }
      let batch = jobs
      jobs.removeAll(keepingCapacity: true)
      pthread_mutex_unlock(mutex)
      if batch.isEmpty { return }
      for job in batch { job.runSynchronously(on: asUnownedSerialExecutor()) }
    }
  }
}
