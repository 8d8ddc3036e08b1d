internal import PaymentService
internal import ServiceRuntime

@main
struct Payment {
  static func main() async { await ServiceMain.main(PaymentService.definition) }
}
