import AccountService
import ServiceRuntime

@main
struct Account {
  static func main() async { await ServiceMain.main(AccountService.definition) }
}
