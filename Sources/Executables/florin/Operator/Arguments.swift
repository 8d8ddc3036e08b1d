import ArgumentParser
import FlorinAPI
import Money

/// An account's name, checked before anything is sent.
struct AccountArgument: ExpressibleByArgument {
  var id: AccountID

  init?(argument: String) {
    guard let id = AccountID(argument) else { return nil }
    self.id = id
  }

  var name: String { id.name }
}

/// An idempotency key: a UUID of version 4.
struct IdempotencyKeyText: ExpressibleByArgument, Sendable {
  var text: String

  init?(argument: String) {
    guard IdempotencyKey(argument) != nil else { return nil }
    text = argument.lowercased()
  }

  private init(text: String) { self.text = text }

  static func random() -> IdempotencyKeyText { IdempotencyKeyText(text: UUID128.random().description) }
}

/// A UUID of any version.
struct UUIDArgument: ExpressibleByArgument {
  var uuid: UUID128

  init?(argument: String) {
    guard let uuid = UUID128(argument) else { return nil }
    self.uuid = uuid
  }

  var text: String { uuid.description }
}

/// An instant in UTC.
struct InstantArgument: ExpressibleByArgument {
  var instant: Timestamp

  init?(argument: String) {
    guard let instant = Timestamp(rfc3339: argument) else { return nil }
    self.instant = instant
  }
}

/// An amount and its currency, as two options. Read as decimals, held as minor units.
struct AmountOptions: ParsableArguments {
  @Option(name: .long, help: ArgumentHelp("A plain decimal, such as 100.00.", valueName: "decimal"))
  var amount: String

  @Option(name: .long, help: ArgumentHelp("ISO 4217, such as GBP.", valueName: "code"))
  var currency: String

  /// - Throws: `Failure` or `AmountError`; amounts of zero and below are nothing to move.
  func parsed() throws -> Amount {
    let amount = try Amount(decimal: self.amount, currency: try Self.currency(currency))
    guard amount.minorUnits > 0 else {
      throw Failure(.usage, "the amount must be more than 0, not \(self.amount)", reason: "amount_not_positive")
    }
    return amount
  }

  static func currency(_ code: String) throws -> Currency {
    guard let currency = Currency(code: code) else {
      throw Failure(.usage, "'\(code)' is no currency of ISO 4217: write its code in capitals, such as GBP", reason: "currency_unknown")
    }
    return currency
  }
}

extension Amount {
  var message: TypeAPI.Money { TypeAPI.Money(minorUnits: minorUnits, currency: currency.code) }
}

extension TypeAPI.Money {
  /// The decimal if the currency is known, else the minor units, marked as such.
  var decimal: String {
    Currency(code: currency).map { Amount(minorUnits: minorUnits, currency: $0).decimal } ?? "\(minorUnits) minor units"
  }
}

extension Record.Value {
  static func money(_ money: TypeAPI.Money?) -> Record.Value { money.map { .text($0.decimal) } ?? .null }
}

/// "ACCOUNT_STATUS_FROZEN" is "frozen" to everyone but the schema.
func word(_ name: String, _ prefix: String) -> String {
  name.hasPrefix(prefix) ? String(name.dropFirst(prefix.count)).lowercased() : name.lowercased()
}
