import LedgerService
import ServiceRuntime

@main struct Ledger {
  static func main() async { await ServiceMain.main(LedgerService.definition) }
}
