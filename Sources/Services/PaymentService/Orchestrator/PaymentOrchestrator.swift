internal import Logging
internal import Money
internal import Postgres
internal import SagaEngine
internal import ServiceRuntime
internal import Telemetry
internal import Tracing

/// Runs the sagas of this process: those it has claimed, and those it takes over because nobody runs them.
struct PaymentOrchestrator: Sendable {
  /// This instance of the process; a restarted one is another.
  let instance: UUID128
  let runner: SagaRunner
  let running: RunningSagas
  let supervisor: Supervisor
  var logger: Logger { runner.logger }

  /// Runs a saga in a supervised task. The caller has entered it in `running`; it is left when the run ends.
  /// If there is no room for another task the saga waits for the scanner.
  func launch(_ order: PaymentOrder, _ machine: SagaStateMachine<PaymentAction>, _ lease: SagaLease, isFresh: Bool) {
    do throws(SupervisorError) {
      try supervisor.run("payment_saga") {
        await self.run(order, machine, lease, isFresh: isFresh)
        self.running.leave(order.paymentID)
      }
    } catch {
      running.leave(order.paymentID)
      logger.warning(
        "saga.deferred", metadata: ["payment_id": .stringConvertible(order.paymentID), "detail": .string(error.description)])
    }
  }

  private func run(_ order: PaymentOrder, _ machine: SagaStateMachine<PaymentAction>, _ lease: SagaLease, isFresh: Bool) async {
    var run = SagaRun(runner, order, machine, lease, isFresh: isFresh)
    do { _ = try await run.run() } catch let error as SagaHistoryError {
      await quarantine(run.lease, "\(error)")
    } catch {
      failed(lease, error)
    }
  }

  /// Nothing is lost by any of these: the log says where the saga stands.
  private func failed(_ lease: SagaLease, _ error: any Error) {
    let metadata: Logger.Metadata = ["payment_id": .stringConvertible(lease.sagaID), "detail": .string("\(error)")]
    switch error {
    case is LeaseLost:
      PaymentMetrics.leaseLost()
      logger.warning("saga.lease_lost", metadata: metadata)
    case is CancellationError: logger.info("saga.interrupted", metadata: metadata)
    default: logger.error("saga.interrupted", metadata: metadata)
    }
  }

  private func quarantine(_ lease: SagaLease, _ detail: String) async {
    PaymentMetrics.quarantined()
    logger.error(
      "saga.quarantined", metadata: ["payment_id": .stringConvertible(lease.sagaID), "detail": .string(detail)])
    do {
      let store = runner.store
      try await Deadline.$current.withValue(.now + SagaRun.databaseLimit) { try await store.quarantine(lease, because: detail) }
    } catch { failed(lease, error) }
  }

  /// Takes over what is due, and runs it. Returns how many sagas it took.
  /// - Throws: `PostgresError`, when the database could not be asked.
  @discardableResult
  func recover(limit: Int = 256) async throws -> Int {
    let room = min(limit, running.free)
    guard room > 0 else { return 0 }
    let store = runner.store
    let (instance, ids) = (instance, running.ids)
    let leases = try await Deadline.$current.withValue(.now + SagaRun.databaseLimit) {
      try await store.takeOver(owner: instance, except: ids, limit: room)
    }
    for lease in leases {
      PaymentMetrics.takenOver()
      // A claim that entered meanwhile and filled the room: the lease runs out, and the next scan takes the saga again.
      guard running.enter(lease.sagaID) else { continue }
      await resume(lease)
    }
    return leases.count
  }

  private func resume(_ lease: SagaLease) async {
    do {
      let store = runner.store
      let loaded = try await Deadline.$current.withValue(.now + SagaRun.databaseLimit) {
        try await store.load(lease, PaymentSaga.catalogue)
      }
      // Recovery is part of the payment's own trace, whichever process does it.
      ServiceContext.$current.withValue(.continuing(traceparent: loaded.order.traceparent)) {
        logger.info(
          "saga.resumed",
          metadata: [
            "payment_id": .stringConvertible(lease.sagaID), "state": .string(loaded.machine.phaseName),
            "epoch": .stringConvertible(lease.epoch),
          ])
        launch(loaded.order, loaded.machine, loaded.lease, isFresh: false)
      }
      return
    } catch let error as SagaHistoryError {
      await quarantine(lease, "\(error)")
    } catch let error as StoredPaymentError {
      await quarantine(lease, "\(error)")
    } catch {
      failed(lease, error)
    }
    running.leave(lease.sagaID)
  }
}
