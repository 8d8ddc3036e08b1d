import FlorinAPI
import Money
import Postgres
import PostgresTestKit
import Testing
import Verify

/// Verifies the ledger alone; expects every invariant of it to hold.
func expectSound(_ database: TestDatabase, sourceLocation: SourceLocation = #_sourceLocation) async throws {
  for result in try await verifyLedger(database) {
    #expect(result.outcome == .passed, "\(result.name): \(String(describing: result.firstViolation))", sourceLocation: sourceLocation)
  }
}

func verifyLedger(_ database: TestDatabase) async throws -> [InvariantResult] {
  try await verifyLedger(database.configuration(for: .auditor))
}

func verifyLedger(_ configuration: PostgresConfiguration) async throws -> [InvariantResult] {
  let report = try await Verification(VerificationTargets(ledger: configuration), logger: .silent).run()
  return report.invariants.filter { $0.name.hasPrefix("ledger.") }
}

@Suite struct VerificationTests {
  /// A ledger with a row of each kind.
  private static func stage() async throws -> TestDatabase {
    let database = try await LedgerFixture.fresh()
    try await LedgerFixture.run(database) { ledger in
      try await ledger.open("A")
      try await ledger.open("B")
      try await ledger.fund("A", 10_000)
      let moved = Make.transfer("A", "B", 500)
      try await ledger.post(moved)
      try await ledger.post(Make.reversal(of: moved.id))
      try await ledger.post([Make.transfer("A", "clearing:GBP", 10), Make.transfer("clearing:GBP", "B", 10)], linked: true)
      try await ledger.post([Make.transfer("A", "B", 10), Make.transfer("A", "B", 1_000_000)], linked: true)
      let hold = Make.hold("B", 5)
      try await ledger.post(hold)
      try await ledger.post(Make.release(of: hold.id))
      try await ledger.post(Make.transfer("A", "NOBODY", 5))
      try await ledger.post(Make.tombstone(Make.id()))
      try await ledger.setStatus("B", .frozen)
      try await ledger.setStatus("B", .closed)
      for _ in 0..<80 { try await ledger.fund("A", 1) }
      for _ in 0..<500 where try await ledger.number("SELECT count(*) AS n FROM derived.checkpoints") == 0 {
        try await Task.sleep(for: .milliseconds(10))
      }
    }
    return database
  }

  @Test("a sound ledger passes every invariant; databases that were not given are reported as skipped, never as passed")
  func sound() async throws {
    let database = try await Self.stage()
    try await expectSound(database)
    let report = try await Verification(VerificationTargets(ledger: database.configuration(for: .auditor)), logger: .silent).run()
    #expect(!report.passed)
    #expect(report.invariants.filter { $0.name.hasPrefix("payment.") }.allSatisfy { $0.outcome == .skipped })
    #expect(report.ledgerBatch > 0 && report.ledgerHash.utf8.count == 64)
    let chain = try #require(report.invariants.first { $0.name == "ledger.chain" })
    #expect(chain.checked > 200)
  }

  /// Takes the guards away, as somebody with all rights could, and leaves two tools for tampering.
  private static func disarm(_ database: TestDatabase) async throws {
    let name = database.name
    let script = """
      DO $$ DECLARE t record; k record; BEGIN
        FOR t IN SELECT c.oid::regclass AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
          WHERE n.nspname IN ('ledger', 'derived') AND c.relkind IN ('r', 'p')
            AND c.relname ~ '^(writer|batch|account|transfer|resol|entr)' LOOP
          EXECUTE format('ALTER TABLE %s DISABLE TRIGGER USER', t.name);
        END LOOP;
        FOR k IN SELECT conname, conrelid::regclass AS name FROM pg_constraint
          WHERE connamespace = 'ledger'::regnamespace AND contype IN ('c', 'f') AND conislocal AND conparentid = 0
            AND NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = conrelid) LOOP
          EXECUTE format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS %I CASCADE', k.name, k.conname);
        END LOOP;
      END $$;

      -- Changes one column of one row; says where the row is then, what stood there, and what names the row.
      CREATE FUNCTION public.flip(tab text, condition text, col text, expression text, naming text,
        OUT rel text, OUT place text, OUT old text, OUT named text) LANGUAGE plpgsql AS $f$
      BEGIN
        EXECUTE format($q$SELECT tableoid::regclass::text, ctid::text, coalesce(quote_literal(%I), 'NULL') FROM ledger.%I
          WHERE %s ORDER BY ctid LIMIT 1$q$, col, tab, condition) INTO STRICT rel, place, old;
        EXECUTE format($q$UPDATE ledger.%I SET %I = %s WHERE tableoid = %L::regclass AND ctid = %L::tid
          RETURNING tableoid::regclass::text, ctid::text, coalesce(%s, '')$q$, tab, col, expression, rel, place, naming)
          INTO STRICT rel, place, named;
      END $f$;
      CREATE FUNCTION public.put_back(tab text, col text, rel text, place text, old text) RETURNS void LANGUAGE plpgsql AS $f$
      BEGIN
        EXECUTE format('UPDATE ledger.%I SET %I = %s WHERE tableoid = %L::regclass AND ctid = %L::tid', tab, col, old, rel, place);
      END $f$;
      """
    _ = try await database.cluster.administer { try $0.psql(script, database: name) }
  }

  /// Another value for a column of the type.
  private static func flipped(_ column: String, _ type: String) -> String {
    switch type {
    case "int8", "int4": "coalesce(\(column) + 1000000, 0)"
    case "text": "coalesce(\(column), '') || 'X'"
    case "date": "coalesce(\(column) + 1, '2000-01-01')"
    case "timestamptz": "\(column) + interval '1 microsecond'"
    case "bytea": "coalesce(set_byte(\(column), 3, get_byte(\(column), 3) # 16), '\\x00')"
    case "uuid":
      "coalesce(encode(set_byte(uuid_send(\(column)), 15, get_byte(uuid_send(\(column)), 15) # 1), 'hex')::uuid, gen_random_uuid())"
    default: "(SELECT e FROM unnest(enum_range(NULL::ledger.\(type))) e WHERE e IS DISTINCT FROM \(column) ORDER BY e DESC LIMIT 1)"
    }
  }

  @Test("flipping any one column of any kind of row behind the ledger's back is found, and the row is named")
  func anyColumn() async throws {
    let database = try await Self.stage()
    try await Self.disarm(database)
    let superuser = try await database.connect(as: .superuser)
    // One row of each kind that has other columns in use, and what names it.
    let rows: [(table: String, condition: String, named: String)] = [
      ("transfers", "kind = 'transfer' AND outcome = 'posted'", "id::text"),
      ("transfers", "kind = 'transfer' AND outcome = 'declined' AND reason = 'account_unknown'", "id::text"),
      ("transfers", "kind = 'reversal'", "id::text"), ("transfers", "kind = 'release'", "id::text"),
      ("transfers", "kind = 'tombstone'", "id::text"), ("transfers", "group_position IS NOT NULL", "id::text"),
      ("entries", "account_seq = 2", "NULL"), ("batches", "batch_no = 5", "batch_no::text"),
      ("accounts", "account_id = 'B'", "NULL"), ("account_events", "kind = 'opened' AND account_id = 'A'", "event_id::text"),
      ("account_events", "kind = 'status_set' AND outcome = 'posted'", "event_id::text"), ("resolutions", "true", "linked_id::text"),
    ]
    var flips = 0
    for row in rows {
      let columns = try await superuser.query(
        """
        SELECT a.attname, t.typname FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
        WHERE a.attrelid = ('ledger.' || $1)::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
        """, [.text(row.table)])
      for column in columns {
        let name = try column.text("attname")
        let expression = try Self.flipped(name, column.text("typname"))
        let flip = try #require(
          try await superuser.query(
            "SELECT * FROM public.flip($1, $2, $3, $4, $5)",
            [.text(row.table), .text(row.condition), .text(name), .text(expression), .text(row.named)]
          ).first)
        let found = try await verifyLedger(database).filter { $0.outcome == .failed }.compactMap(\.firstViolation)
        try await superuser.query(
          "SELECT public.put_back($1, $2, $3, $4, $5)",
          [.text(row.table), .text(name), .text(flip.text("rel")), .text(flip.text("place")), .text(flip.text("old"))])
        flips += 1
        // The guards are off, which is found each time; the flip must be found beside that.
        let others = found.filter { $0.table != "pg_trigger" }
        #expect(!others.isEmpty, "\(row.table).\(name) where \(row.condition) was flipped and not found")
        // A batch whose number was flipped is reported as missing under its old one.
        let named = try flip.text("named")
        if !named.isEmpty, row.table != "batches" || name != "batch_no" {
          #expect(
            others.contains { $0.row.contains(named) || $0.problem.contains(named) },
            "\(row.table).\(name) where \(row.condition): \(named) is not named in \(others)")
        }
      }
    }
    await superuser.close()
    #expect(flips > 150)
    for result in try await verifyLedger(database) where result.name != "ledger.append_only" {
      #expect(result.outcome == .passed, "\(result.name) after all was undone: \(String(describing: result.firstViolation))")
    }
  }

  @Test("a row that is removed, added or swapped is found, also with its hashes left in order")
  func removedAndAdded() async throws {
    let changes = [
      "DELETE FROM ledger.entries WHERE ctid = (SELECT max(ctid) FROM ledger.entries)",
      "DELETE FROM ledger.transfers WHERE kind = 'tombstone'",
      "DELETE FROM ledger.batches WHERE batch_no = (SELECT max(batch_no) / 2 FROM ledger.batches)",
      "DELETE FROM ledger.account_events WHERE kind = 'status_set'",
      "DELETE FROM ledger.resolutions",
      "INSERT INTO ledger.entries VALUES (3, 999, 'CREDIT', 1, ledger.first_id(now()), now())",
      "INSERT INTO ledger.entries SELECT account_no, 998, direction, amount, transfer_id, created_at FROM ledger.entries LIMIT 1",
      "INSERT INTO ledger.resolutions VALUES (ledger.first_id(now()), ledger.first_id(now()))",
      "INSERT INTO ledger.accounts VALUES (99, 'EVIL', 'GBP', 'unlimited', 1, now())",
      """
      UPDATE ledger.entries e SET transfer_id = o.transfer_id FROM ledger.entries o
      WHERE e.account_seq = 3 AND o.account_seq = 4 AND e.account_no = o.account_no
      """,
      "UPDATE derived.checkpoints SET balance = balance + 1",
    ]
    let template = try await Self.stage()
    try await Self.disarm(template)
    for change in changes {
      let name = "\(template.name)_\(UInt32.random(in: .min ... .max))"
      let templateName = template.name
      try await template.cluster.administer { try $0.createDatabase(name, service: "ledger", template: templateName) }
      _ = try await template.cluster.administer { try $0.psql(change, database: name) }
      var copy = template.configuration(for: .auditor)
      copy.database = name
      let failed = try await verifyLedger(copy).filter { $0.outcome == .failed && $0.name != "ledger.append_only" }
      #expect(!failed.isEmpty, "not found: \(change)")
    }
  }
}
