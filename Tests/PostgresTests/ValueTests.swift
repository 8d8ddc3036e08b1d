import Money
import Postgres
import PostgresTestKit
import Testing

@Suite("Parameters and results") struct ValueTests {
  @Test("Every kind of value comes back as it was sent")
  func roundTrip() async throws {
    let connection = try await TestDatabase.notes().connect()
    let uuid = try #require(UUID128("0190163d-8694-739b-aea5-966c26f8ad91"))
    let time = try #require(Timestamp(rfc3339: "2026-03-18T09:23:11.123456Z"))
    let early = try #require(Timestamp(rfc3339: "1969-12-31T23:59:59.999999Z"))
    let date = try #require(CivilDate(year: 1999, month: 12, day: 31))
    let row = try #require(
      try await connection.query(
        """
        SELECT $1 AS b, $2 AS i, $3 AS l, $4 AS t, $5 AS x, $6 AS u, $7 AS s, $8 AS d, $9 AS e, $10 AS empty, $11::bigint AS n, $12 AS big,
          $4 = '£100 → ACC456 "quoted" \\' AS same_text, $7 = '2026-03-18 09:23:11.123456+00' AS same_time, $8 = '1999-12-31' AS same_date,
          $5 = '\\x00ff10' AS same_bytes, $6 = '0190163d-8694-739b-aea5-966c26f8ad91' AS same_uuid
        """,
        [
          .bool(true), .int32(-7), .int64(.min), .text("£100 → ACC456 \"quoted\" \\"), .bytes([0, 255, 16]), .uuid(uuid), .timestamp(time),
          .date(date), .timestamp(early), .text(""), .null, .int64(.max),
        ]
      ).first)
    #expect(try row.bool("b"))
    #expect(try row.int32("i") == -7)
    #expect(try row.int64("i") == -7)
    #expect(try row.int64("l") == .min)
    #expect(try row.int64("big") == .max)
    #expect(try row.text("t") == "£100 → ACC456 \"quoted\" \\")
    #expect(try row.bytes("x") == [0, 255, 16])
    #expect(try row.uuid("u") == uuid)
    #expect(try row.timestamp("s") == time)
    #expect(try row.timestamp("e") == early)
    #expect(try row.date("d") == date)
    #expect(try row.text("empty") == "")
    #expect(try row.int64OrNil("n") == nil)
    for column in ["same_text", "same_time", "same_date", "same_bytes", "same_uuid"] { #expect(try row.bool(column), "\(column)") }
    await connection.close()
  }

  @Test("Arrays of every kind come back as they were sent: empty, with NULLs, with 1,000 elements")
  func arrays() async throws {
    let connection = try await TestDatabase.notes().connect()
    let uuids = (0..<1000).map { _ in UUID128.random() }
    let row = try #require(
      try await connection.query(
        """
        SELECT $1 AS u, $2 AS l, $3 AS t, $4 AS x, $5 AS nt, $6 AS none, $7::text AS nu, $8::text AS nl, $9::text AS ts, $10::text AS b,
          $11::text AS i, $12::text AS nx, $13::text AS nts, $14::text AS d, cardinality($6) AS size
        """,
        [
          .uuidArray(uuids), .int64Array([1, -2, .max]), .textArray(["a", "", "NULL", "{,\"}"]), .bytesArray([[], [0], [255, 0]]),
          .nullableTextArray(["a", nil, ""]), .int64Array([]), .nullableUUIDArray([nil, UUID128(high: 0, low: 1)]),
          .nullableInt64Array([nil, 5]), .timestampArray([Timestamp(microseconds: 0)]), .boolArray([true, false]), .int32Array([7]),
          .nullableBytesArray([nil, [1]]), .nullableTimestampArray([nil, Timestamp(microseconds: 1)]),
          .dateArray([CivilDate(daysSinceEpoch: 0)]),
        ]
      ).first)
    #expect(try row.uuidArray("u") == uuids)
    #expect(try row.int64Array("l") == [1, -2, .max])
    #expect(try row.textArray("t") == ["a", "", "NULL", "{,\"}"])
    #expect(try row.bytesArray("x") == [[], [0], [255, 0]])
    #expect(try row.nullableTextArray("nt") == ["a", nil, ""])
    #expect(throws: PostgresError.self) { try row.textArray("nt") }
    #expect(try row.int64Array("none") == [])
    #expect(try row.int64("size") == 0)
    #expect(try row.text("nu") == "{NULL,00000000-0000-0000-0000-000000000001}")
    #expect(try row.text("nl") == "{NULL,5}")
    #expect(try row.text("ts") == "{\"1970-01-01 00:00:00+00\"}")
    #expect(try row.text("b") == "{t,f}")
    #expect(try row.text("i") == "{7}")
    #expect(try row.text("nx") == #"{NULL,"\\x01"}"#)
    #expect(try row.text("nts") == "{NULL,\"1970-01-01 00:00:00.000001+00\"}")
    #expect(try row.text("d") == "{1970-01-01}")
    await connection.close()
  }

  @Test("A batch of 1,000 rows goes in by one statement")
  func batch() async throws {
    let connection = try await TestDatabase.notes().connect()
    let count = try await connection.execute(
      "INSERT INTO notes (id, text) SELECT * FROM unnest($1, $2)",
      [.int64Array(Array(1...1000)), .textArray((1...1000).map { "note \($0)" })])
    #expect(count == 1000)
    let row = try #require(
      try await connection.query("SELECT count(*) AS n, sum(id) AS total, avg(id) AS mean FROM notes WHERE text = 'note ' || id").first)
    #expect(try row.int64("n") == 1000)
    #expect(try row.int64("total") == 500_500)
    #expect(try row.text("mean") == "500.5000000000000000")
    #expect(throws: PostgresError.self) { try row.int64("mean") }
    await connection.close()
  }

  @Test("Numerics are read exactly")
  func numerics() async throws {
    let connection = try await TestDatabase.notes().connect()
    for text in ["0", "1", "-1", "9999", "10000", "10001", "123456789.000100", "-0.0001", "0.00000001", "9223372036854775807", "100000000"]
    {
      let row = try #require(try await connection.query("SELECT $1::numeric AS n, ($1::numeric)::text AS t", [.text(text)]).first)
      #expect(try row.text("n") == row.text("t"))
    }
    let row = try #require(try await connection.query("SELECT 9223372036854775808::numeric AS n, 'NaN'::numeric AS nan").first)
    #expect(throws: PostgresError.self) { try row.int64("n") }
    #expect(throws: PostgresError.self) { try row.text("nan") }
    await connection.close()
  }

  @Test("Reading a column wrongly is a typed error that names it")
  func misreading() async throws {
    let connection = try await TestDatabase.notes().connect()
    let row = try #require(
      try await connection.query("SELECT 1 AS number, NULL::text AS nothing, 'infinity'::timestamptz AS never, interval '1 day' AS odd")
        .first)
    func code(_ body: () throws -> Void) -> PostgresError? {
      do { try body() } catch { return error as? PostgresError }
      return nil
    }
    #expect(code { _ = try row.text("number") }?.code == .typeMismatch)
    #expect(code { _ = try row.text("number") }?.column == "number")
    #expect(code { _ = try row.text("nothing") }?.code == .unexpectedNull)
    #expect(code { _ = try row.text("absent") }?.code == .unknownColumn)
    #expect(code { _ = try row.timestamp("never") }?.code == .typeMismatch)
    #expect(code { _ = try row.text("odd") }?.code == .typeMismatch)
    await connection.close()
  }

  @Test("A parameter that PostgreSQL cannot hold is refused before anything is sent, and the connection stays good")
  func badParameters() async throws {
    let connection = try await TestDatabase.notes().connect()
    let error = await #expect(throws: PostgresError.self) {
      try await connection.pipeline([SQLStatement("SELECT 1"), SQLStatement("SELECT $1", [.text("a\0b")])])
    }
    #expect(error?.code == .misuse)
    #expect(try await connection.query("SELECT 2 AS two").first?.int64("two") == 2)
    await connection.close()
  }
}
