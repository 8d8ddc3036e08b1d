import NotificationService
import ServiceRuntime

@main
struct Notification {
  static func main() async { await ServiceMain.main(NotificationService.definition) }
}
