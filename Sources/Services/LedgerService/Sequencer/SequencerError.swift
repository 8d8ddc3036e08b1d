/// Why the sequencer cannot write. Each halts it until a new start from the ledger's rows succeeds.
enum SequencerError: Error, Sendable, Hashable, CustomStringConvertible {
  case noGenesis
  case damagedRow(String, String)
  case clockApart(seconds: Int64)
  case bookingTimeAhead(seconds: Int64)
  /// Other writers kept appending while we tried to take over.
  case contended

  var description: String {
    switch self {
    case .noGenesis: "ledger.batches is empty: the migrations have not been run, or its first row was deleted"
    case .damagedRow(let table, let row): "\(table) has a row that this version cannot read (\(row)); run `florin verify`"
    case .clockApart(let seconds):
      "this machine's clock is \(seconds) s apart from PostgreSQL's (5 s are tolerated): nothing is booked until it is set"
    case .bookingTimeAhead(let seconds):
      "the last batch was booked \(seconds) s in the future of this machine's clock: nothing is booked until time has caught up"
    case .contended: "other writers kept appending while this one tried to take over; only one ledger process should run"
    }
  }
}
