internal import Logging
internal import Postgres
internal import ServiceLifecycle

/// What has to be done now and then: coming months, expired keys, gauges.
struct Housekeeper: Service {
  let payments: PaymentStore
  let sagas: SagaStore
  let logger: Logger
  var interval = Duration.seconds(15)

  func run() async throws {
    await cancelWhenGracefulShutdown {
      var round = 0
      while !Task.isCancelled {
        await tidy(isHourly: round % 240 == 0)
        round += 1
        do { try await Task.sleep(for: interval) } catch { return }
      }
    }
  }

  private func tidy(isHourly: Bool) async {
    do {
      try await Deadline.$current.withValue(.now + .seconds(10)) {
        if isHourly {
          let made = try await payments.ensureMonths()
          if made > 0 { logger.notice("saga_log.months_made", metadata: ["months": .stringConvertible(made)]) }
        }
        PaymentMetrics.open(try await sagas.counts())
        let swept = try await payments.sweepExpiredKeys()
        if swept > 0 { logger.info("idempotency.swept", metadata: ["keys": .stringConvertible(swept)]) }
      }
    } catch {
      guard !Task.isCancelled else { return }
      logger.warning("payment.housekeeping_failed", metadata: ["detail": .string("\(error)")])
    }
  }
}
