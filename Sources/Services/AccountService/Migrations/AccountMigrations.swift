internal import Migrations

/// The account service's tables, in its own schema of its own database. Each migration is final once released: a change is a new one.
enum AccountMigrations {
  static let all: [Migration] = [
    Migration(version: 100, name: "accounts", sql: accounts),
    Migration(version: 101, name: "steps", sql: steps),
  ]

  /// An account is what was asked for, and events: asked for here, decided by the ledger. No row of these is ever changed; a status
  /// is the last event that the ledger posted.
  static let accounts: StaticString = """
    GRANT USAGE ON SCHEMA account TO account_service;

    CREATE FUNCTION account.refuse_change() RETURNS trigger
      LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
    BEGIN
      RAISE EXCEPTION 'account.% is append-only: % is refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'insufficient_privilege', HINT = 'What was written stays; a change is a new event.';
    END $$;

    CREATE TABLE account.accounts (
      account_id text PRIMARY KEY CHECK (account_id ~ '^[A-Za-z0-9][A-Za-z0-9:_-]{0,63}$'),
      reference text NOT NULL CHECK (reference ~ '^[A-Za-z0-9._:-]{1,64}$'),
      currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
      opened_at timestamptz NOT NULL,
      -- Who asked, with which idempotency key, for what: account_id follows from the first two.
      opened_by text NOT NULL,
      idempotency_key uuid NOT NULL,
      fingerprint bytea NOT NULL CHECK (octet_length(fingerprint) = 32),
      UNIQUE (opened_by, idempotency_key)
    );
    COMMENT ON COLUMN account.accounts.reference IS 'Opaque key of the caller''s own. Never personal data.';
    CREATE INDEX accounts_by_reference ON account.accounts (reference);

    -- What was asked for. The next event of an account comes only after the result of the one before, so the ledger learns of them
    -- in this order.
    CREATE TABLE account.account_events (
      account_id text NOT NULL REFERENCES account.accounts,
      sequence integer NOT NULL CHECK (sequence > 0),
      event_id uuid NOT NULL UNIQUE,
      kind text NOT NULL CHECK (kind IN ('open', 'freeze', 'unfreeze', 'close')),
      reason text NOT NULL CHECK (reason ~ '^[a-z_]{0,64}$'),
      requested_by text NOT NULL,
      requested_at timestamptz NOT NULL,
      traceparent text,
      PRIMARY KEY (account_id, sequence),
      CHECK ((sequence = 1) = (kind = 'open'))
    );

    -- What the ledger decided: the event counts from here on, or never.
    CREATE TABLE account.account_event_results (
      event_id uuid PRIMARY KEY REFERENCES account.account_events (event_id),
      outcome text NOT NULL CHECK (outcome IN ('posted', 'declined')),
      reason text NOT NULL CHECK ((outcome = 'posted') = (reason = '')),
      booked_at timestamptz,
      batch_no bigint,
      recorded_at timestamptz NOT NULL,
      CHECK ((outcome = 'posted') = (booked_at IS NOT NULL))
    );

    -- Work: events that have no result yet. A row comes with its event and goes with its result.
    CREATE TABLE account.event_queue (
      event_id uuid PRIMARY KEY REFERENCES account.account_events (event_id),
      attempts integer NOT NULL DEFAULT 0,
      next_attempt_at timestamptz NOT NULL
    ) WITH (fillfactor = 60);
    CREATE INDEX event_queue_due ON account.event_queue (next_attempt_at);

    CREATE FUNCTION account.events_in_order() RETURNS trigger
      LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
    BEGIN
      IF NEW.sequence > 1 AND NOT EXISTS (
          SELECT FROM account.account_events e JOIN account.account_event_results r USING (event_id)
          WHERE e.account_id = NEW.account_id AND e.sequence = NEW.sequence - 1) THEN
        RAISE EXCEPTION 'event % of account % comes before the result of the one before it', NEW.sequence, NEW.account_id
          USING ERRCODE = 'integrity_constraint_violation';
      END IF;
      RETURN NEW;
    END $$;
    CREATE TRIGGER in_order BEFORE INSERT ON account.account_events FOR EACH ROW EXECUTE FUNCTION account.events_in_order();

    CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON account.accounts
      FOR EACH STATEMENT EXECUTE FUNCTION account.refuse_change();
    CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON account.account_events
      FOR EACH STATEMENT EXECUTE FUNCTION account.refuse_change();
    CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON account.account_event_results
      FOR EACH STATEMENT EXECUTE FUNCTION account.refuse_change();
    ALTER TABLE account.accounts ENABLE ALWAYS TRIGGER append_only;
    ALTER TABLE account.account_events ENABLE ALWAYS TRIGGER append_only;
    ALTER TABLE account.account_event_results ENABLE ALWAYS TRIGGER append_only;

    -- Every account with the status that follows from its events. 'opening': the ledger has not opened it (yet).
    CREATE VIEW account.account_states AS
      SELECT a.account_id, a.reference, a.currency, a.opened_at, coalesce(s.status, 'opening') AS status,
        coalesce(s.booked_at, a.opened_at) AS changed_at, l.sequence AS last_sequence, l.event_id AS last_event_id,
        r.outcome AS last_outcome
      FROM account.accounts a
      JOIN LATERAL (
        SELECT e.sequence, e.event_id FROM account.account_events e WHERE e.account_id = a.account_id ORDER BY e.sequence DESC LIMIT 1
      ) l ON true
      LEFT JOIN account.account_event_results r ON r.event_id = l.event_id
      LEFT JOIN LATERAL (
        SELECT CASE e.kind WHEN 'freeze' THEN 'frozen' WHEN 'close' THEN 'closed' ELSE 'open' END AS status, p.booked_at
        FROM account.account_events e JOIN account.account_event_results p USING (event_id)
        WHERE e.account_id = a.account_id AND p.outcome = 'posted' ORDER BY e.sequence DESC LIMIT 1
      ) s ON true;

    GRANT SELECT, INSERT ON account.accounts, account.account_events, account.account_event_results TO account_service;
    GRANT SELECT, INSERT, UPDATE, DELETE ON account.event_queue TO account_service;
    GRANT SELECT ON account.account_states TO account_service;
    """

  /// Steps of payments, and tombstones for steps that must never come: one primary key, so that the two cannot race.
  static let steps: StaticString = """
    CREATE TABLE account.steps (
      step_id uuid PRIMARY KEY,
      payment_id uuid NOT NULL,
      state text NOT NULL CHECK (state IN ('done', 'declined', 'tombstone')),
      reason text NOT NULL CHECK ((state = 'declined') = (reason <> '')),
      -- SHA-256 of the request; a tombstone came without one.
      fingerprint bytea CHECK (octet_length(fingerprint) = 32),
      payer_account_id text,
      amount bigint CHECK (amount > 0),
      currency text,
      decided_by_request_of text NOT NULL,
      decided_at timestamptz NOT NULL,
      CHECK ((state = 'tombstone') = (fingerprint IS NULL)),
      CHECK (num_nulls(fingerprint, payer_account_id, amount, currency) IN (0, 4))
    );
    COMMENT ON COLUMN account.steps.amount IS 'Minor units of currency.';
    CREATE INDEX steps_by_payment ON account.steps (payment_id, decided_at);

    CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON account.steps
      FOR EACH STATEMENT EXECUTE FUNCTION account.refuse_change();
    ALTER TABLE account.steps ENABLE ALWAYS TRIGGER append_only;

    GRANT SELECT, INSERT ON account.steps TO account_service;
    """
}
