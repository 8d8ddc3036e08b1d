internal import Postgres

extension Verification {
  /// The status of every account, in the account service and in the ledger. Both move: what differs is asked for again, and an
  /// account whose newest event has no result yet is left out.
  func verifyAccounts(_ tallies: inout [InvariantTally]) async throws {
    var tally = InvariantTally(
      "account.statuses", "every account has the same currency and status in the account service and in the ledger")
    guard let target = targets.account else {
      tally.skip("the account database was not given")
      var audit = Self.auditTally("account")
      audit.skip("the account database was not given")
      tallies += [tally, audit]
      return
    }
    try await Self.with(target, schema: "account", logger) { account in
      try await Self.with(targets.ledger, schema: "ledger", logger) { ledger in
        var after = ""
        while true {
          let page = try await ledger.query(
            """
            SELECT account_id FROM ledger.accounts WHERE policy = 'limited' AND account_id > $1 ORDER BY account_id LIMIT 1000
            """, [.text(after)]
          ).map { try $0.text("account_id") }
          guard let last = page.last else { break }
          after = last
          tally.checked += page.count
          var differences = try await Self.differences(page, account, ledger)
          if !differences.isEmpty { differences = try await Self.differences(differences.map(\.account), account, ledger) }
          for difference in differences { tally.violated("accounts", difference.account, difference.problem) }
        }
        try await Self.checkOpened(account, ledger, &tally)
      }
      tallies.append(tally)
      try await tallies.append(Self.audit("account", account))
    }
  }

  private static func differences(
    _ ids: [String], _ account: PostgresConnection, _ ledger: PostgresConnection
  ) async throws -> [(account: String, problem: String)] {
    let booked = try await ledger.query(
      """
      SELECT a.account_id, a.currency, b.status::text AS status
      FROM ledger.accounts a CROSS JOIN LATERAL ledger.balance_at(a.account_id, NULL) b
      WHERE a.account_id = ANY ($1) ORDER BY a.account_id
      """, [.textArray(ids)])
    // After the ledger: what it has decided is, if not yet here, an event without a result here.
    let states = try await account.query(
      "SELECT account_id, currency, status, last_outcome FROM account.account_states WHERE account_id = ANY ($1)", [.textArray(ids)])
    var known: [String: (currency: String, status: String, isPending: Bool)] = [:]
    for row in states {
      known[try row.text("account_id")] = try (row.text("currency"), row.text("status"), row.textOrNil("last_outcome") == nil)
    }
    return try booked.compactMap { row in
      let id = try row.text("account_id")
      guard let state = known[id] else { return (id, "the ledger has it, the account service does not") }
      if state.currency != (try row.text("currency")) {
        return (id, "it is in \(state.currency) here, in \(try row.text("currency")) in the ledger")
      }
      let bookedStatus = try row.text("status")
      if state.isPending || state.status == bookedStatus { return nil }
      return (id, "it is \(state.status) here, \(bookedStatus) in the ledger")
    }
  }

  /// What the account service took as opened must be in the ledger.
  private static func checkOpened(
    _ account: PostgresConnection, _ ledger: PostgresConnection, _ tally: inout InvariantTally
  ) async throws {
    var after = ""
    while true {
      let page = try await account.query(
        """
        SELECT account_id FROM account.account_states WHERE status <> 'opening' AND account_id > $1 ORDER BY account_id LIMIT 1000
        """, [.text(after)]
      ).map { try $0.text("account_id") }
      guard let last = page.last else { return }
      after = last
      let found = Set(
        try await ledger.query("SELECT account_id FROM ledger.accounts WHERE account_id = ANY ($1)", [.textArray(page)])
          .map { try $0.text("account_id") })
      for id in page where !found.contains(id) { tally.violated("accounts", id, "it is opened here, and the ledger does not have it") }
    }
  }
}
