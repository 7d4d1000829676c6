"""The SQL that turns completejourney into events, items, offers and audiences.

Every statement takes ``$cut``; ids become strings, money becomes whole cents of US dollars, and the clock of the shop,
which the data set gives without a zone, is read as UTC.
"""

TABLES = ("transactions", "products", "campaigns", "campaign_descriptions", "coupons")

EVENTS = """
-- Lines with quantity 0 hold price corrections and coupons on their own, not purchases.
SELECT
    concat_ws('-', basket_id, product_id, row_number() OVER (
        PARTITION BY basket_id, product_id ORDER BY transaction_timestamp, quantity, sales_value
    )) AS event_id,
    household_id::VARCHAR AS customer_id,
    'purchase' AS event_type,
    product_id::VARCHAR AS item_id,
    transaction_timestamp AT TIME ZONE 'UTC' AS event_time,
    quantity::DOUBLE AS quantity,
    sales_value AS value
FROM transactions
WHERE quantity > 0 AND ($households = 0 OR household_id IN (
    SELECT household_id FROM transactions GROUP BY household_id ORDER BY count(*) DESC, household_id LIMIT $households
))
ORDER BY event_time, event_id
"""

ITEMS = """
-- The price is what the shelf said when the item was last sold before the cut. Fuel is counted in thousandths of a
-- gallon, and a price of such a thousandth says nothing: what comes out below a cent is left unknown.
WITH last_price AS (
    SELECT
        product_id,
        arg_max(
            round((sales_value + retail_disc + coupon_match_disc) / quantity * 100)::BIGINT,
            (transaction_timestamp, basket_id)
        ) AS cents
    FROM transactions
    WHERE quantity > 0 AND transaction_timestamp < $cut
    GROUP BY product_id
)
SELECT
    product_id::VARCHAR AS item_id,
    coalesce(product_type, product_category, department, 'Product ' || product_id) AS kind,
    coalesce(package_size, '') AS package_size,
    coalesce(brand, '') AS brand,
    coalesce(product_category, department, '') AS category,
    CASE WHEN cents >= 1 THEN cents END AS price_cents
FROM products LEFT JOIN last_price USING (product_id)
WHERE product_id IN (SELECT product_id FROM transactions) OR product_id IN (SELECT product_id FROM live_coupons)
ORDER BY item_id
"""

LIVE_COUPONS = """
-- The coupons of the campaigns that still ran at the cut or began after it.
SELECT campaign_id, coupon_upc, product_id, start_date, end_date
FROM coupons JOIN campaign_descriptions USING (campaign_id)
WHERE end_date >= $cut
"""

OFFERS = """
-- A coupon says nothing of what it takes off. The typical discount that customers got with a coupon on these very items
-- before the cut stands in; where none was used, that of the campaign's other coupons; else that of all coupons.
WITH used AS (
    SELECT product_id, round(coupon_disc / quantity * 100) AS cents
    FROM transactions
    WHERE coupon_disc > 0 AND quantity > 0 AND transaction_timestamp < $cut
),
of_coupon AS (
    SELECT campaign_id, coupon_upc, median(cents) AS cents
    FROM live_coupons JOIN used USING (product_id) GROUP BY ALL
),
of_campaign AS (SELECT campaign_id, median(cents) AS cents FROM of_coupon GROUP BY ALL),
discounts AS (
    SELECT DISTINCT
        c.campaign_id,
        c.coupon_upc,
        greatest(1, round(coalesce(
            of_coupon.cents, of_campaign.cents, (SELECT median(cents) FROM used)
        )))::BIGINT AS off_cents
    FROM live_coupons c
    LEFT JOIN of_coupon ON of_coupon.campaign_id = c.campaign_id AND of_coupon.coupon_upc = c.coupon_upc
    LEFT JOIN of_campaign ON of_campaign.campaign_id = c.campaign_id
),
kinds AS (
    SELECT campaign_id, coupon_upc, kind, brand, count(*) AS products
    FROM live_coupons JOIN items ON items.item_id = product_id::VARCHAR GROUP BY ALL
)
SELECT
    campaign_id || '-' || coupon_upc AS offer_id,
    'campaign-' || campaign_id AS audience_id,
    -- Nobody gets money back: an item that costs less than the coupon takes off is not part of the offer.
    list(DISTINCT item_id ORDER BY item_id) FILTER (price_cents IS NULL OR price_cents > off_cents) AS item_ids,
    any_value(off_cents) AS off_cents,
    any_value(start_date) AS start_time,
    any_value(end_date) + INTERVAL 1 DAY AS end_time,
    (SELECT list(kind ORDER BY n DESC, kind) FROM (
        SELECT kind, sum(products) AS n FROM kinds
        WHERE kinds.campaign_id = c.campaign_id AND kinds.coupon_upc = c.coupon_upc GROUP BY kind
    )) AS kinds,
    (SELECT CASE WHEN count(DISTINCT brand) = 1 THEN any_value(brand) ELSE '' END FROM kinds
        WHERE kinds.campaign_id = c.campaign_id AND kinds.coupon_upc = c.coupon_upc) AS brand
FROM live_coupons c
JOIN discounts USING (campaign_id, coupon_upc)
JOIN items ON items.item_id = c.product_id::VARCHAR
GROUP BY c.campaign_id, c.coupon_upc
HAVING item_ids IS NOT NULL
ORDER BY offer_id
"""

AUDIENCES = """
SELECT
    'campaign-' || campaign_id AS audience_id,
    list(DISTINCT household_id::VARCHAR ORDER BY household_id::VARCHAR) AS customer_ids
FROM campaigns
WHERE campaign_id IN (SELECT campaign_id FROM live_coupons)
GROUP BY campaign_id
ORDER BY audience_id
"""
