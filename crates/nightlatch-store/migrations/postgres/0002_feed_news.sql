-- News of the feed: whoever listens hears at once that it has moved, instead of at the next poll.
--
-- A trigger, so that what releases before this one write is told, too. The listener's channel is one
-- for the database; the payload says which schema it was. Written rows are told once, at the commit.
CREATE FUNCTION nightlatch.tell_of_feed() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('nightlatch_feed', TG_TABLE_SCHEMA);
    RETURN NULL;
END
$$;

CREATE TRIGGER feed_head_moved
AFTER UPDATE ON nightlatch.feed_head
FOR EACH ROW
WHEN (OLD.position <> NEW.position OR OLD.epoch <> NEW.epoch)
EXECUTE FUNCTION nightlatch.tell_of_feed();
