internal import Migrations

/// The notification service's tables, in its own schema of its own database. Each migration is final once released: a change is a
/// new one.
enum NotificationMigrations {
  static let all: [Migration] = [Migration(version: 100, name: "notifications", sql: notifications)]

  static let notifications: StaticString = """
    GRANT USAGE ON SCHEMA notification TO notification_service;

    CREATE FUNCTION notification.refuse_change() RETURNS trigger
      LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
    BEGIN
      RAISE EXCEPTION 'notification.% is append-only: % is refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'insufficient_privilege', HINT = 'What was written stays; a change is a new row.';
    END $$;

    -- Whether an account may be written to: its newest event counts, none means that it may.
    CREATE TABLE notification.suppression_events (
      account_id text NOT NULL CHECK (account_id ~ '^[A-Za-z0-9][A-Za-z0-9:_-]{0,63}$'),
      sequence integer NOT NULL CHECK (sequence > 0),
      suppressed boolean NOT NULL,
      reason text NOT NULL CHECK (reason ~ '^[a-z_]{1,64}$'),
      requested_by text NOT NULL,
      created_at timestamptz NOT NULL,
      PRIMARY KEY (account_id, sequence)
    );

    -- What payments asked for, accepted ('done') or not, and tombstones for what must never come: one primary key, so that the two
    -- cannot race.
    CREATE TABLE notification.steps (
      step_id uuid PRIMARY KEY,
      payment_id uuid NOT NULL,
      state text NOT NULL CHECK (state IN ('done', 'declined', 'tombstone')),
      reason text NOT NULL CHECK ((state = 'declined') = (reason <> '')),
      kind text CHECK (kind IN ('confirmation', 'reversal')),
      -- SHA-256 of the request; a tombstone came without one.
      fingerprint bytea CHECK (octet_length(fingerprint) = 32),
      payer_account_id text,
      payee_account_id text,
      amount bigint CHECK (amount > 0),
      currency text CHECK (currency ~ '^[A-Z]{3}$'),
      reverses_step_id uuid,
      -- Why it was declined: the newest suppression event of one of its accounts.
      suppressed_account_id text,
      suppression_sequence integer,
      requested_by text NOT NULL,
      decided_at timestamptz NOT NULL,
      FOREIGN KEY (suppressed_account_id, suppression_sequence) REFERENCES notification.suppression_events (account_id, sequence),
      CHECK ((state = 'tombstone') = (fingerprint IS NULL)),
      CHECK (num_nulls(fingerprint, kind, payer_account_id, payee_account_id, amount, currency) IN (0, 6)),
      CHECK ((kind = 'reversal') = (reverses_step_id IS NOT NULL)),
      CHECK ((state = 'declined') = (suppressed_account_id IS NOT NULL)),
      CONSTRAINT reversals_are_always_accepted CHECK (kind <> 'reversal' OR state = 'done')
    );
    COMMENT ON COLUMN notification.steps.amount IS 'Minor units of currency.';
    CREATE INDEX steps_by_payment ON notification.steps (payment_id, decided_at);
    CREATE INDEX accepted_by_time ON notification.steps (decided_at DESC, step_id) WHERE state = 'done';

    CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON notification.suppression_events
      FOR EACH STATEMENT EXECUTE FUNCTION notification.refuse_change();
    CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON notification.steps
      FOR EACH STATEMENT EXECUTE FUNCTION notification.refuse_change();
    ALTER TABLE notification.suppression_events ENABLE ALWAYS TRIGGER append_only;
    ALTER TABLE notification.steps ENABLE ALWAYS TRIGGER append_only;

    -- For people: what was accepted.
    CREATE VIEW notification.notifications AS
      SELECT step_id, kind, payment_id, payer_account_id, payee_account_id, amount, currency, reverses_step_id, decided_at AS accepted_at
      FROM notification.steps WHERE state = 'done';

    GRANT SELECT, INSERT ON notification.suppression_events, notification.steps TO notification_service;
    GRANT SELECT ON notification.notifications TO notification_service;
    """
}
